"""What codes of two voices share of what is said, free of the size of their codebook.

Two voices say the same text; both are aligned by cepstra (bench/tokens/alignment.py). The lift is the coincidence (Renyi-2) information

    log2( P[codes are equal | same text, aligned] / P[codes are equal | the same two voices, other texts, aligned] )

If a code carries junk of J equal values that the text does not decide, both probabilities fall by J and the lift stays. Independent codes
have none. Its share is of -log2 P[codes are equal | same voices, other texts, any two moments], the Renyi-2 entropy across voices: 1,
voices code alike always. What differs from voice to voice but maps one to one is not seen by it; `mutual` sees it, and needs more codes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.api import Score
from bench.statistics.bootstrap import t_quantile
from bench.tokens.mutual_information import entropy

FEWEST = 30  # coincidences, each of two codes of their own, of either kind
TEXTS = 5  # fewer give no interval
DRAWS = 1000
CELLS = 5  # aligned codes for each code that was seen, so that their mutual information can be counted
SHUFFLES = 30


@dataclass(frozen=True)
class Pair:
    """Codes of one codebook along one alignment: `a`, `b` [n] at its steps, `at_a`, `at_b` [n] their places in their clips."""

    a: np.ndarray
    b: np.ndarray
    at_a: np.ndarray
    at_b: np.ndarray

    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """a and b of every two places once, however many steps of the alignment they last."""
        _, first = np.unique(np.stack([self.at_a, self.at_b]), axis=1, return_index=True)
        return self.a[first], self.b[first]


@dataclass(frozen=True)
class Compared:
    """A codebook in one pair of clips of equal text, and in its control."""

    text: str
    voices: tuple[str, str]
    same: Pair
    other: Pair
    any_equal: float  # share of all pairs of moments of the control's two clips, aligned or not, at which codes are equal


@dataclass(frozen=True)
class Counts:
    """Steps, equal ones, and equal ones of two codes of their own; of equal texts [3], of others [3]; share of any two moments, weight."""

    same: np.ndarray
    other: np.ndarray
    any_equal: np.ndarray

    def __add__(self, more: Counts) -> Counts:
        return Counts(self.same + more.same, self.other + more.other, self.any_equal + more.any_equal)

    @property
    def bits(self) -> float:
        """The lift."""
        return math.log2(self.same[1] / self.same[0]) - math.log2(self.other[1] / self.other[0])


def by_text(compared: Sequence[Compared]) -> dict[str, Counts]:
    """The counts of each text."""
    found: dict[str, Counts] = {}
    for pair in compared:
        counts = Counts(_counted(pair.same), _counted(pair.other), np.array([pair.any_equal * len(pair.other.a), len(pair.other.a)]))
        found[pair.text] = found[pair.text] + counts if pair.text in found else counts
    return found


def _counted(pair: Pair) -> np.ndarray:
    a, b = pair.distinct()
    return np.array([len(pair.a), (pair.a == pair.b).sum(), (a == b).sum()], dtype=np.float64)


def lift(texts: dict[str, Counts]) -> tuple[Score, Score]:
    """(bits, share) of counts by text; NaN with a note where codes coincide too seldom."""
    whole = _sum(list(texts.values()))
    if (few := min(whole.same[2], whole.other[2])) < FEWEST:
        kind = "same" if whole.same[2] < FEWEST else "other"
        missing = Score(math.nan, note=f"codes of two voices coincide {few:g} times in the {kind} text: {FEWEST} are needed")
        return missing, missing
    entropy = -math.log2(whole.any_equal[0] / whole.any_equal[1]) if whole.any_equal[0] else math.nan
    share = Score(whole.bits / entropy) if entropy > 0.01 else Score(math.nan, note="one code alone is in use: there is nothing to share")
    return Score(whole.bits), share


def interval(texts: dict[str, Counts], seed: int) -> tuple[Score, Score]:
    """The 95 % interval of the bits: Student's, with the standard error that drawing texts with replacement gives."""
    if len(texts) < TEXTS:
        missing = Score(math.nan, note=f"{len(texts)} texts are read by two voices: {TEXTS} are needed for an interval")
        return missing, missing
    random, counts = np.random.default_rng(seed), list(texts.values())
    drawn = [_sum([counts[i] for i in random.integers(len(counts), size=len(counts))]) for _ in range(DRAWS)]
    bits = [one.bits for one in drawn if one.same[1] and one.other[1]]
    if len(bits) < 0.95 * DRAWS:
        missing = Score(math.nan, note="codes of two voices hardly ever coincide")
        return missing, missing
    half = t_quantile(len(texts) - 1) * math.sqrt(len(texts) / (len(texts) - 1)) * float(np.std(bits))
    return Score(_sum(counts).bits - half), Score(_sum(counts).bits + half)


def pooled(codebooks: Sequence[dict[str, Counts]]) -> dict[str, Counts]:
    """Those of a code of any codebook."""
    return {text: _sum([book[text] for book in codebooks]) for text in codebooks[0]}


def _sum(counts: Sequence[Counts]) -> Counts:
    whole = counts[0]
    for more in counts[1:]:
        whole = whole + more
    return whole


def mutual(compared: Sequence[Compared], seed: int) -> Score:
    """Adjusted mutual information in bits of aligned codes of two voices, each pair of voices by itself, their mean weighted by codes."""
    voices: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in compared:
        voices[pair.voices].append(pair.same)
    random, bits, steps, cells = np.random.default_rng(seed), 0.0, 0, 0
    for pairs in voices.values():
        a, b = (np.concatenate(side) for side in zip(*(pair.distinct() for pair in pairs), strict=True))
        used, a = np.unique(a, return_inverse=True)
        others, b = np.unique(b, return_inverse=True)
        cells, steps = cells + max(len(used), len(others)), steps + len(a)
        of_a, of_b = entropy(np.bincount(a)), entropy(np.bincount(b))

        def information(b: np.ndarray, a: np.ndarray = a, of_both: float = of_a + of_b, width: int = len(others)) -> float:
            return of_both - entropy(np.bincount(a * width + b))

        chance = float(np.mean([information(random.permutation(b)) for _ in range(SHUFFLES)]))
        if (room := of_b - chance) > 0:
            bits += len(a) * of_b * (information(b) - chance) / room
    if steps <= CELLS * cells:
        return Score(math.nan, note=f"{steps} aligned codes for {cells} codes in use: more than {CELLS} times as many are needed")
    return Score(bits / steps)
