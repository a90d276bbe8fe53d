"""Means over a few seeds, against scipy.stats."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.statistics import over_seeds


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_interval_and_p_are_those_of_students_t(count: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(count).normal(0.7, 1.0, count)
    found, test = over_seeds.mean(values.tolist()), stats.ttest_1samp(values, 0.0)
    interval = test.confidence_interval(0.95)
    assert (found.value, found.low, found.high, found.p) == pytest.approx((values.mean(), interval.low, interval.high, test.pvalue))


def test_a_difference_is_taken_seed_by_seed() -> None:
    found = over_seeds.difference([1.0, 5.0, 9.0], [0.5, 4.5, 8.5])
    assert (found.value, found.low, found.high, found.p) == (0.5, 0.5, 0.5, 0.0)
    assert over_seeds.difference([1.0, 2.0], [1.0, 2.0]).p == 1.0


def test_one_seed_has_no_interval_and_a_missing_value_no_mean() -> None:
    one = over_seeds.mean([2.0])
    assert one.value == 2.0 and math.isnan(one.low) and math.isnan(one.p)
    assert math.isnan(over_seeds.mean([1.0, math.nan]).value) and math.isnan(over_seeds.mean([]).value)
