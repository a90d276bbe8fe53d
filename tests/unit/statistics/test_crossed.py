"""Intervals of means over listeners and items hold the truth as often as they say, and tests of nothing find nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.statistics.crossed import crossed


def table(
    rng: np.random.Generator, sizes: tuple[int, int], spreads: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values with the mean 0, listeners, items."""
    a, b = sizes
    values = rng.normal(0, spreads[0], a)[:, None] + rng.normal(0, spreads[1], b)[None] + rng.normal(0, spreads[2], (a, b))
    return values.ravel(), np.repeat(np.arange(a), b), np.tile(np.arange(b), a)


@pytest.mark.parametrize("sizes", [(6, 6), (8, 12), (20, 8)])
@pytest.mark.parametrize("spreads", [(8, 8, 10), (15, 2, 8), (2, 15, 8), (0, 0, 10)], ids=str)
def test_intervals_hold_the_truth_and_a_test_of_nothing_finds_nothing(sizes: tuple[int, int], spreads: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(1)
    found = [crossed(*table(rng, sizes, spreads)) for _ in range(600)]
    covered = np.mean([e.low <= 0 <= e.high for e in found])
    assert covered >= 0.925, "0.95 less three standard errors"
    assert np.mean([e.p < 0.05 for e in found]) == pytest.approx(1 - covered)
    assert covered < 0.985 or spreads[:2] == (0, 0)


def test_clusters_of_one_side_alone_would_be_too_sure() -> None:
    """What the second side is for: as if every item were a listener of its own, the truth is lost three times as often."""
    rng = np.random.default_rng(2)
    lost = 0
    for _ in range(300):
        values, listeners, items = table(rng, (20, 6), (2, 15, 8))
        error = values.std(ddof=1) / math.sqrt(len(values))
        lost += abs(values.mean()) > 1.98 * error
    assert lost / 300 > 0.2


def test_a_mean_stays_on_the_scale_and_a_constant_has_no_width() -> None:
    listeners, items = np.repeat(np.arange(6), 6), np.tile(np.arange(6), 6)
    high = np.random.default_rng(0).uniform(80, 100, 36)
    high[:6] = 20
    assert crossed(high, listeners, items, (0, 100)).high == 100
    same = crossed(np.full(36, 100.0), listeners, items, (0, 100))
    assert (same.low, same.high, same.p) == (100, 100, 0)
    assert crossed(np.zeros(36), listeners, items).p == 1


def test_too_few_of_either_side_have_no_interval() -> None:
    values = np.arange(24.0)
    assert math.isnan(crossed(values, np.repeat(np.arange(4), 6), np.tile(np.arange(6), 4)).low)
    assert math.isnan(crossed(values, np.repeat(np.arange(6), 4), np.tile(np.arange(4), 6)).p)
    assert math.isnan(crossed(np.empty(0), [], []).value)


def test_a_missing_cell_changes_little() -> None:
    values, listeners, items = table(np.random.default_rng(3), (10, 8), (8, 8, 10))
    whole, less = crossed(values, listeners, items), crossed(values[1:], listeners[1:], items[1:])
    assert abs((whole.high - whole.low) - (less.high - less.low)) < 0.1 * (whole.high - whole.low)
