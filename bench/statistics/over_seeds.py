"""Means and differences over a few trainings that differ in their seed alone: Student's t, as there are too few to draw from.

What varies are seeds, not clips: the interval says what another training of the same design would give on the same clips.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.statistics.bootstrap import Estimate, t_quantile, t_tail


def mean(values: Sequence[float]) -> Estimate:
    """The mean of one value a seed with its 95 % interval, and p of its being zero; of one seed, the value alone. NaN: one is missing."""
    each = np.array(values, dtype=np.float64)
    value = float(each.mean()) if len(each) else math.nan
    if len(each) < 2 or math.isnan(value):
        return Estimate(value)
    error, freedom = float(each.std(ddof=1)) / math.sqrt(len(each)), len(each) - 1
    half = t_quantile(freedom) * error
    p = 2 * t_tail(abs(value) / error, freedom) if error else float(value == 0)
    return Estimate(value, value - half, value + half, p)


def difference(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """The mean of a - b, seed by seed: what a seed does to both (its crops, its first weights) is not counted."""
    return mean([x - y for x, y in zip(a, b, strict=True)])
