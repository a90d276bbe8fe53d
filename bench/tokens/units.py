"""Units: the codes of one codebook with equal neighbours collapsed to one, as a language model of units is given them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from bench.api import Score
from bench.tokens.scored import Encoded, Scored, mean_of, missing

COLUMNS = ("units_per_s", "unit_ms", "unit_ms_median", "unit_ms_p90", "unit_ms_longest")
VARYING = "its frames vary in length: how many are equal says nothing of time"


def collapsed(codes: Iterable[int]) -> list[int]:
    """Equal neighbours as one."""
    return [code for code, _ in itertools.groupby(codes)]


def unit_edits(before: Tensor, after: Tensor) -> float:
    """Edits from the units of codes [K, F] to those of codes [K, F'], by the number of the first; the mean over the codebooks."""
    pairs = [(collapsed(own.tolist()), collapsed(other.tolist())) for own, other in zip(before, after, strict=True)]
    return sum(Levenshtein.distance(own, other) / len(own) for own, other in pairs) / len(pairs)


def run_lengths(codes: np.ndarray) -> np.ndarray:
    """Of codes [F], how many frames each unit lasts."""
    edges = np.flatnonzero(np.diff(codes)) + 1
    return np.diff(np.concatenate([[0], edges, [len(codes)]])) if len(codes) else np.zeros(0, dtype=np.int64)


def unit_scores(clips: Sequence[Encoded], per_second: Sequence[float]) -> dict[str, Scored]:
    """COLUMNS of each table, whose codes come at so many a second; those at a clip's ends are as long as they are heard."""
    if not all(map(math.isfinite, per_second)):
        return dict.fromkeys(COLUMNS, missing(VARYING))
    scores: dict[str, list[Score]] = {name: [] for name in COLUMNS}
    for k, rate in enumerate(per_second):
        ms = np.concatenate([run_lengths(clip.codes[k]) for clip in clips]) * 1000 / rate
        values = [1000 * len(ms) / ms.sum(), ms.mean(), np.median(ms), np.quantile(ms, 0.9), ms.max()] if len(ms) else [math.nan] * 5
        for name, value in zip(COLUMNS, values, strict=True):
            scores[name].append(Score(float(value), note="" if len(ms) else "too few codes"))
    return {name: mean_of(each) for name, each in scores.items()}
