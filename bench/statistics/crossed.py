"""Means of values that every listener gave to every item: both vary, and an interval is to hold for other listeners and other items.

The variance of the mean is V = V_listeners + V_items - V_rest (Cameron, Gelbach & Miller 2011; of a complete table the unbiased estimate of
a two-way random model), never less than that of listeners or of items alone. Degrees of freedom are Satterthwaite's (1946), no fewer than
those of the smaller side. Values are plain numbers; a cell that is missing is left out.

By simulation (tests/unit/statistics/test_crossed.py), 1,500 tables for each of five sizes from 5 x 5 to 20 x 20, intervals hold the truth
94 to 97 times in 100 where listeners, items or both vary; where neither does, 97 to 99 times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.statistics.bootstrap import FEWEST, Estimate, t_quantile, t_tail


def crossed(
    values: np.ndarray,
    rows: Sequence[object] | np.ndarray,
    columns: Sequence[object] | np.ndarray,
    span: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """The mean of values [n] with its 95 % interval, and p, two-sided, of its being zero. NaN below five of either side."""
    if not len(values):
        return Estimate(math.nan)
    mean = float(values.mean())
    (_, row), (_, column) = (np.unique(np.array(side, dtype=str), return_inverse=True) for side in (rows, columns))
    counts = (int(row.max()) + 1, int(column.max()) + 1)
    if min(counts) < FEWEST:
        return Estimate(mean)
    error, freedom = _error(values - mean, row, column, counts)
    if error == 0:
        return Estimate(mean, mean, mean, 0.0 if mean else 1.0)
    half = t_quantile(freedom) * error
    return Estimate(mean, max(span[0], mean - half), min(span[1], mean + half), 2 * t_tail(abs(mean) / error, freedom))


def _error(off: np.ndarray, row: np.ndarray, column: np.ndarray, counts: tuple[int, int]) -> tuple[float, float]:
    """The standard error of a mean whose values are `off` it [n], and its degrees of freedom."""
    n, (a, b) = len(off), counts
    sides = [np.bincount(index, off) for index in (row, column)]
    each = [k / (k - 1) * float(np.sum(sums**2)) / n**2 for k, sums in zip(counts, sides, strict=True)]
    fitted = sum(sums[index] / np.bincount(index)[index] for sums, index in zip(sides, (row, column), strict=True))
    rest = float(np.sum((off - fitted) ** 2)) / ((a - 1) * (b - 1)) / n
    variance = max(each[0] + each[1] - rest, *each)
    if variance == 0:
        return 0.0, float(min(a, b) - 1)
    freedom = variance**2 / (each[0] ** 2 / (a - 1) + each[1] ** 2 / (b - 1) + rest**2 / ((a - 1) * (b - 1)))
    return math.sqrt(variance), min(max(freedom, min(a, b) - 1), (a - 1) * (b - 1))
