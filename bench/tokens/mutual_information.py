"""Information in bits, by counting. Information of codes about a label or the next code, with the level that chance gives.

Where codes are many and draws are few, counting finds dependence in anything: a code that came once tells all about where it came. So each
dependence is counted again after a shuffle that leaves everything but the dependence as it was. What is above that control is real. It is
less than all there is, since the more chance tells the less is left to tell: `Counted.adjusted` is what is told of what chance leaves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SHUFFLES = 30
CERTAIN = 0.95  # share that chance tells from which on too little is left to tell: rounding and luck would be blown up


@dataclass(frozen=True)
class Counted:
    """A count, and the mean of the same count over shuffles."""

    raw: float
    control: float

    @property
    def adjusted(self) -> float:
        """Of shares: (raw - control) / (1 - control), the information adjusted for chance (Vinh, Epps & Bailey 2010, JMLR 11), with the
        label's entropy in the place of both; 0: no more than chance, 1: one code tells the label. NaN where chance tells it, too."""
        return (self.raw - self.control) / (1 - self.control) if self.control < 1 else math.nan


def entropy(counts: np.ndarray) -> float:
    """Bits of a draw from counts [any shape], the plug-in estimate; NaN without any."""
    counts = counts[counts > 0].astype(np.float64)
    total = counts.sum()
    return float(np.log2(total) - (counts @ np.log2(counts)) / total) if total else math.nan


def zipf_slope(counts: np.ndarray) -> float:
    """Slope of log count over log rank, least squares weighted by count (the many codes that came once would rule otherwise)."""
    counts = np.sort(counts[counts > 0])[::-1].astype(np.float64)
    if len(counts) < 2:
        return math.nan
    x, y = np.log(np.arange(1, len(counts) + 1)), np.log(counts)
    x, y = x - np.average(x, weights=counts), y - np.average(y, weights=counts)
    return float((counts * x) @ y / ((counts * x) @ x))


def of_label(streams: Sequence[np.ndarray], labels: Sequence[str], seed: int, shuffles: int = SHUFFLES) -> Counted:
    """Mutual information of a code with its clip's label over the label's entropy: 0, nothing .. 1, one code tells it.

    streams: the codes [F] of each clip, labels: one a clip. The control deals the labels to the clips anew, so that the frames of a clip
    stay together: they are alike, and codes that know the clip would otherwise seem to know its label. NaN for fewer than two labels.
    """
    _, label = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
    filled = [i for i, stream in enumerate(streams) if len(stream)]
    if len(set(label[filled].tolist())) < 2:
        return Counted(math.nan, math.nan)
    clip = np.repeat(np.arange(len(streams)), [len(stream) for stream in streams])
    used, code = np.unique(np.concatenate([streams[i] for i in filled]), return_inverse=True)
    cell, times = np.unique(clip * len(used) + code, return_counts=True)
    clip, code = cell // len(used), cell % len(used)
    of_code = entropy(np.bincount(code, times))

    def share(dealt: np.ndarray) -> float:
        joint = np.bincount(dealt[clip] * len(used) + code, times)
        of_dealt = entropy(np.bincount(dealt[clip], times))
        return (of_dealt + of_code - entropy(joint)) / of_dealt if of_dealt else 0.0

    random = np.random.default_rng(seed)
    return Counted(share(label), float(np.mean([share(random.permutation(label)) for _ in range(shuffles)])))


def of_next(streams: Sequence[np.ndarray], seed: int, shuffles: int = 3) -> Counted:
    """Conditional entropy in bits of a code, given the one before it in the same clip; the control shuffles which one came before."""
    pairs = [stream for stream in streams if len(stream) > 1]
    if not pairs:
        return Counted(math.nan, math.nan)
    used, before = np.unique(np.concatenate([stream[:-1] for stream in pairs]), return_inverse=True)
    after = np.concatenate([stream[1:] for stream in pairs]).astype(np.int64)
    of_before = entropy(np.bincount(before))

    def bits(after: np.ndarray) -> float:
        return entropy(np.unique(after * len(used) + before, return_counts=True)[1]) - of_before

    random = np.random.default_rng(seed)
    return Counted(bits(after), float(np.mean([bits(random.permutation(after)) for _ in range(shuffles)])))
