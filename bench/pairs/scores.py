"""How much likelier right sounds are than wrong ones, by six scores, and the share of questions where they are.

A question is a quad (bench/pairs/quads.py), both pairs together, or a pair that is in none.

Of all codes, or (`_cb1`) of those of the first codebook alone, each given all codes before it: the sum of their bits, the mean of a frame
(`_mean`), and the mean over the first LOCAL seconds from the first frame in which the two differ (`_local`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.api import SHARE
from bench.pairs.quads import Pair
from bench.statistics.bootstrap import Estimate, mean
from bench.statistics.crossed import crossed

LOCAL = 1.0  # s
SCORES = ("", "_mean", "_local", "_cb1", "_mean_cb1", "_local_cb1")
"""As columns are called: without an ending, it is the sum."""
TIE = 1e-6  # bits: what differs by less differs in the arithmetic


@dataclass(frozen=True)
class Side:
    """A sound as codes [F, C], and the bits [F, C] that a model gives each."""

    codes: np.ndarray
    bits: np.ndarray


def margins(right: Side, wrong: Side, first: Sequence[int], rate: float) -> tuple[float, ...]:
    """By how many bits the wrong sound is dearer, for each of SCORES. `first`: the columns of the first codebook; rate: frames a second."""
    start = differing(right.codes, wrong.codes)
    local = slice(start, start + max(1, round(LOCAL * rate)))
    found = []
    for columns in (range(right.bits.shape[1]), first):
        bits = [side.bits[:, list(columns)].sum(1, dtype=np.float64) for side in (right, wrong)]
        whole, every, near = (float(b.sum()) for b in bits), (_mean(b) for b in bits), (_mean(b[local]) for b in bits)
        for pair in (whole, every, near):
            a, b = pair
            found.append(b - a)
    return tuple(found)


def _mean(bits: np.ndarray) -> float:
    return float(bits.mean()) if len(bits) else 0.0


def differing(a: np.ndarray, b: np.ndarray) -> int:
    """The first frame in which codes [F, C] differ; where the one is the beginning of the other, its length."""
    shorter = min(len(a), len(b))
    places = np.flatnonzero((a[:shorter] != b[:shorter]).any(1))
    return int(places[0]) if len(places) else shorter


def won(margin: float) -> float:
    """1 for a question that is answered rightly, 0 for one that is not, and a half for neither."""
    return 0.5 if abs(margin) < TIE else float(margin > 0)


def answers(pairs: Sequence[Pair], told: Mapping[str, Sequence[float]], score: int, each: bool = False) -> dict[str, float]:
    """What is won by one of SCORES, by question, or by pair where `each` is asked about; `told`: the margins of pairs by their ids."""
    found: dict[str, float] = defaultdict(float)
    for pair in pairs:
        found[pair.id if each else pair.question] += told[pair.id][score]
    return {name: won(margin) for name, margin in found.items()}


def share(pairs: Sequence[Pair], won_by: Mapping[str, float]) -> Estimate:
    """The share of what is won, by question or pair, with its 95 % interval: over items and voices, or over items where voices are few."""
    there = {name: pair for pair in pairs for name in (pair.question, pair.id) if name in won_by}
    values = np.array([won_by[name] for name in there])
    items, voices = [pair.item for pair in there.values()], [pair.voice for pair in there.values()]
    both = crossed(values, items, voices, SHARE)
    return mean(values, np.ones(len(values)), items, SHARE) if np.isnan(both.low) else both
