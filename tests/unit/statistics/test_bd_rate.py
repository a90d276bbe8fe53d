"""BD-rate: against the area between the curves, against ladders whose answer is known, and NaN with a reason where there is none."""

import math

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from bench.statistics.bd_rate import Point, delta_rate


def ladder(rates: list[float], qualities: list[float]) -> list[Point]:
    return [Point(rate, quality) for rate, quality in zip(rates, qualities, strict=True)]


A = ladder([1.5, 3, 6, 12], [1.5, 2.1, 2.8, 3.5])


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 2.0])
def test_a_ladder_that_needs_so_many_times_the_rate_is_found_to(factor: float) -> None:
    other = [Point(factor * p.rate, p.quality) for p in A]
    assert delta_rate(other, A).percent == pytest.approx(100 * (factor - 1), abs=1e-9)


def test_it_is_the_area_between_the_curves() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        sizes = rng.integers(3, 7, 2)
        qualities = [np.sort(rng.uniform(1, 4, n)) for n in sizes]
        rates = [np.cumsum(rng.uniform(0.5, 8, n)) for n in sizes]
        found = delta_rate(*(ladder(list(r), list(q)) for r, q in zip(rates, qualities, strict=True)))
        low, high = max(q[0] for q in qualities), min(q[-1] for q in qualities)
        if low >= high:
            assert math.isnan(found.percent)
            continue
        grid = np.linspace(low, high, 20_001)
        ours, theirs = (PchipInterpolator(q, np.log10(r))(grid).mean() for r, q in zip(rates, qualities, strict=True))
        assert found.log_ratio == pytest.approx(ours - theirs, abs=1e-4)
        assert (found.low, found.high) == (low, high)


def test_it_is_near_the_polynomial_of_the_original_proposal() -> None:
    """The four points and the cubic through them that VCEG-M33 works with."""
    rates = [[686.76, 309.58, 157.11, 85.95], [893.34, 407.8, 204.93, 112.75]]
    psnr = [[40.28, 37.18, 34.24, 31.42], [40.39, 37.21, 34.17, 31.24]]
    cubics = [np.polyint(np.polyfit(q, np.log10(r), 3)) for r, q in zip(rates, psnr, strict=True)]
    low, high = max(map(min, psnr)), min(map(max, psnr))
    first, second = (np.polyval(c, high) - np.polyval(c, low) for c in cubics)
    theirs = 100 * (10 ** ((second - first) / (high - low)) - 1)
    assert delta_rate(ladder(rates[1], psnr[1]), ladder(rates[0], psnr[0])).percent == pytest.approx(theirs, abs=0.1)


def test_turned_round_it_is_the_inverse() -> None:
    other = ladder([2, 5, 9], [1.2, 2.9, 3.1])
    assert delta_rate(other, A).log_ratio == pytest.approx(-delta_rate(A, other).log_ratio)


@pytest.mark.parametrize(
    ("points", "note"),
    [
        (ladder([1, 2], [1, 2]), "2 points: 3 are needed"),
        (ladder([1, 2, 3], [4, 5, 6]), "no quality that both reach: one has 4 at least, the other 3.5 at most"),
        (ladder([1, 2, 3], [1, 3, 2]), "quality does not rise with the rate, from 2 to 3"),
        (ladder([1, 1, 3], [1, 2, 3]), "quality does not rise with the rate, from 1 to 1"),
        (ladder([1, 2, math.nan], [1, 2, 3]), "no bitrate or no quality"),
        (ladder([1, 2, 3], [1, math.nan, 3]), "no bitrate or no quality"),
        (ladder([0, 2, 3], [1, 2, 3]), "no bitrate or no quality"),
    ],
)
def test_where_there_is_no_answer_it_is_nan_with_the_reason(points: list[Point], note: str) -> None:
    for found in (delta_rate(points, A), delta_rate(A, points)):
        assert math.isnan(found.percent) and note in found.note
