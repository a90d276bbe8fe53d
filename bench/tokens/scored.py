"""What a measure of codes is given, and what it gives: a value of the whole tokenizer, and one of each codebook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.api import Clip, Score
from bench.data.alignments import Alignment


@dataclass(frozen=True)
class Encoded:
    """A clip with its codes: of each table, in the order of time."""

    clip: Clip
    codes: list[np.ndarray]
    seconds: float
    alignment: Alignment | None = None


@dataclass(frozen=True)
class Scored:
    """`codebooks`: a score of each table of codes; none where the value is of all together alone."""

    whole: Score
    codebooks: tuple[Score, ...] = ()


def mean_of(scores: Sequence[Score]) -> Scored:
    """The mean over the codebooks, NaN where one is; with the first note."""
    mean = sum(score.value for score in scores) / len(scores)
    return Scored(Score(mean, note=next((score.note for score in scores if score.note), "")), tuple(scores))


def missing(note: str) -> Scored:
    """Why there is none."""
    return Scored(Score(math.nan, note=note))
