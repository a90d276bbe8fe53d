"""Units: the codes of one codebook with equal neighbours collapsed to one, as a language model of units is given them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from rapidfuzz.distance import Levenshtein
from torch import Tensor


def collapsed(codes: Iterable[int]) -> list[int]:
    """Equal neighbours as one."""
    return [code for code, _ in itertools.groupby(codes)]


def unit_edits(before: Tensor, after: Tensor) -> float:
    """Edits from the units of codes [K, F] to those of codes [K, F'], by the number of the first; the mean over the codebooks."""
    pairs = [(collapsed(own.tolist()), collapsed(other.tolist())) for own, other in zip(before, after, strict=True)]
    return sum(Levenshtein.distance(own, other) / len(own) for own, other in pairs) / len(pairs)
