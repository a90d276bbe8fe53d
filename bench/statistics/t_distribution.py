"""Student's t distribution, to full relative precision far out in its tail, without scipy."""

from __future__ import annotations

import math
from functools import lru_cache


def tail(t: float, freedom: int) -> float:
    """P(T >= t) for so many degrees of freedom."""
    if t < 0:
        return 1 - tail(-t, freedom)
    return _beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2


@lru_cache
def quantile(freedom: int, beyond: float = 0.025) -> float:
    """The t with P(T >= t) = beyond, for beyond < 0.5."""
    low, high = 0.0, 1.0
    while tail(high, freedom) > beyond:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle, freedom) > beyond else (low, middle)
    return high


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22), evaluated by Lentz's method."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # beyond it the fraction of the other end converges
        return 1 - _beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    value = c = 1.0
    d = 0.0
    for step in range(2000):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + term * d)
        c = 1 + term / c
        value *= c * d
        if step and abs(c * d - 1) < 1e-15:
            break
    return front * (value - 1)
