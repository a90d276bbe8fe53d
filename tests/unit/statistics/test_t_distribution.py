"""Student's t without scipy, against scipy."""

import pytest
from scipy import stats

from bench.statistics.t_distribution import quantile, tail

FREEDOMS = (1, 2, 3, 6, 9, 29, 299, 5000)


@pytest.mark.parametrize("freedom", FREEDOMS)
@pytest.mark.parametrize("t", [-3.0, 0.0, 1e-3, 0.5, 2.0, 10.0, 100.0])
def test_the_tail_is_that_of_scipy_also_far_out(t: float, freedom: int) -> None:
    theirs = stats.t.sf(t, freedom)
    assert tail(t, freedom) == pytest.approx(theirs, rel=1e-8) or theirs < 1e-290


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_the_quantile_is_that_of_scipy(freedom: int) -> None:
    assert quantile(freedom) == pytest.approx(stats.t.isf(0.025, freedom), rel=1e-9)
