"""The interval of a mean: inside the span, of some width where a share is perfect, and Student's far from any bound."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.api import CORRELATION, POSITIVE, SHARE
from bench.statistics.bootstrap import difference, mean, t_quantile

ANYWHERE = (-math.inf, math.inf)


def interval(values: list[float], span: tuple[float, float]) -> tuple[float, float]:
    found = mean(np.array(values), np.ones(len(values)), [str(i) for i in range(len(values))], span)
    return found.low, found.high


@pytest.mark.parametrize("speakers", [5, 10, 30])
def test_a_perfect_share_has_the_interval_of_clopper_and_pearson_with_speakers_counted(speakers: int) -> None:
    exact = scipy_stats.binomtest(speakers, speakers).proportion_ci(0.95, "exact")
    assert interval([1.0] * speakers, SHARE) == pytest.approx((exact.low, exact.high))
    assert interval([0.0] * speakers, SHARE) == pytest.approx((1 - exact.high, 1 - exact.low))
    clips = mean(np.ones(4 * speakers), np.ones(4 * speakers), [str(i % speakers) for i in range(4 * speakers)], SHARE)
    assert clips.low == pytest.approx(exact.low), "clips of one speaker may be alike"


def test_a_share_of_independent_trials_has_about_the_interval_of_clopper_and_pearson() -> None:
    exact = scipy_stats.binomtest(170, 200).proportion_ci(0.95, "exact")
    assert interval([1.0] * 170 + [0.0] * 30, SHARE) == pytest.approx((exact.low, exact.high), abs=0.002)


def test_a_rate_of_events_has_about_the_exact_interval_of_poisson() -> None:
    counts = np.random.default_rng(0).poisson(0.2, 300).tolist()
    total = sum(counts)
    low, high = scipy_stats.chi2.ppf(0.025, 2 * total) / 600, scipy_stats.chi2.ppf(0.975, 2 * total + 2) / 600
    assert interval(counts, POSITIVE) == pytest.approx((low, high), rel=0.06)


@pytest.mark.parametrize("span", [(-1000.0, 1000.0), (-1000.0, math.inf), (-math.inf, 1000.0), ANYWHERE])
def test_far_from_its_bounds_a_mean_of_even_speakers_has_students_interval(span: tuple[float, float]) -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])  # no skewness
    student = scipy_stats.t.interval(0.95, 6, x.mean(), x.std(ddof=1) / math.sqrt(7))
    assert interval(x.tolist(), span) == pytest.approx(student, abs=0.02)


def test_a_long_tail_of_unbounded_scores_makes_its_side_of_the_interval_longer() -> None:
    low, high = interval([0.0, 0.1, 0.2, 0.1, 0.0, 5.0], ANYWHERE)
    assert high - 0.9 > 1.5 * (0.9 - low) > 0
    assert interval([0.0, -0.1, -0.2, -0.1, 0.0, -5.0], ANYWHERE) == pytest.approx((-high, -low))


@pytest.mark.parametrize(
    ("values", "span"),
    [
        ([1.0, 1.0, 1.0, 1.0, 0.2], SHARE),
        ([0.999, 0.9999, 0.99, 1.0, 1.0, 0.97], CORRELATION),
        ([100.0, 100.0, 100.0, 20.0, 60.0], (-100.0, 100.0)),
        ([0.0, 0.0, 0.0, 0.0, 6.0], POSITIVE),
        ([1.0000001] * 4 + [0.9], CORRELATION),
    ],
)
def test_an_interval_ends_inside_the_span(values: list[float], span: tuple[float, float]) -> None:
    low, high = interval(values, span)
    assert span[0] <= low < np.mean(values) < high <= span[1]


def test_what_is_the_same_everywhere_has_an_interval_of_no_width() -> None:
    assert interval([3.0] * 6, POSITIVE) == interval([3.0] * 6, ANYWHERE) == (3.0, 3.0)
    assert interval([0.0] * 6, POSITIVE) == (0.0, 0.0) and math.copysign(1, interval([-0.0] * 6, POSITIVE)[0]) == 1
    assert interval([1.0] * 6, CORRELATION) == (1.0, 1.0)


def test_a_difference_of_shares_is_between_minus_1_and_1() -> None:
    x, ones = np.array([1.0] * 5 + [0.2]), (np.ones(6), np.ones(6))
    found = difference(x, 1 - x, ones, [str(i) for i in range(6)], span=SHARE)
    assert -1 <= found.low < found.value < found.high == 1


def test_the_quantile_is_students() -> None:
    assert t_quantile(9) == pytest.approx(scipy_stats.t.ppf(0.975, 9))
