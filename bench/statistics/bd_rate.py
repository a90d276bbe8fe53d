"""Bjontegaard delta rate: how much more or less bitrate one codec needs than another for the same quality (VCEG-M33, VCEG-AI11).

Each codec is a ladder of points (bitrate, quality). log10(bitrate) is interpolated over the quality by a monotone piecewise cubic (PCHIP),
as the field now does in place of one polynomial, and the difference of the two curves is averaged over the quality that both reach.
-20 % means: a fifth less bitrate for the same quality.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 3  # points of a ladder; with fewer there is no curve. Four are usual


@dataclass(frozen=True)
class Point:
    """One codec setting: rate in any unit, quality rising as it gets better."""

    rate: float
    quality: float


@dataclass(frozen=True)
class DeltaRate:
    """The mean of log10(rate) at equal quality, the codec's less the anchor's, from quality `low` to `high`; NaN with the reason."""

    log_ratio: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""

    @property
    def percent(self) -> float:
        """The difference in rate, in % of the anchor's."""
        return percent(self.log_ratio)


def percent(log_ratio: float) -> float:
    """A ratio as a difference in %."""
    return 100 * (10**log_ratio - 1)


def delta_rate(codec: Sequence[Point], anchor: Sequence[Point]) -> DeltaRate:
    """The rate that `codec` needs, against `anchor`, for the same quality."""
    ladders = [sorted(points, key=lambda point: point.rate) for points in (codec, anchor)]
    for points in ladders:
        if note := _unusable(points):
            return DeltaRate(math.nan, note=note)
    low = max(points[0].quality for points in ladders)
    high = min(points[-1].quality for points in ladders)
    if low >= high:
        return DeltaRate(
            math.nan, low, high, f"no quality that both reach: one has {abs(low):.4g} at least, the other {abs(high):.4g} at most"
        )
    ours, theirs = (_integral(*_curve(points), low, high) for points in ladders)
    return DeltaRate((ours - theirs) / (high - low), low, high)


def _unusable(points: Sequence[Point]) -> str:
    if not all(math.isfinite(p.quality) and 0 < p.rate < math.inf for p in points):
        return "a point has no bitrate or no quality"
    if len(points) < FEWEST:
        return f"{len(points)} points: {FEWEST} are needed"
    for lower, upper in zip(points, points[1:], strict=False):
        if not (lower.rate < upper.rate and lower.quality < upper.quality):
            return f"quality does not rise with the rate, from {lower.rate:.4g} to {upper.rate:.4g}"
    return ""


def _curve(points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quality [n], log10(rate) [n] and its slopes [n]: those of Fritsch and Butland (1984), which never overshoot."""
    x, y = np.array([p.quality for p in points]), np.log10([p.rate for p in points])
    h, steps = np.diff(x), np.diff(np.log10([p.rate for p in points])) / np.diff(x)
    before, after = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    inner = (before + after) / (before / steps[:-1] + after / steps[1:])  # all steps rise
    first, last = _end(h[0], h[1], steps[0], steps[1]), _end(h[-1], h[-2], steps[-1], steps[-2])
    return x, y, np.concatenate([[first], inner, [last]])


def _end(near: float, far: float, step: float, next_step: float) -> float:
    """The slope at an end: that of the parabola through three points, unless it falls."""
    return max(((2 * near + far) * step - near * next_step) / (near + far), 0.0)


def _integral(x: np.ndarray, y: np.ndarray, slopes: np.ndarray, low: float, high: float) -> float:
    """Of the piecewise cubic, from low to high, exactly."""
    h, steps = np.diff(x), np.diff(y) / np.diff(x)
    square, cube = (3 * steps - 2 * slopes[:-1] - slopes[1:]) / h, (slopes[:-1] + slopes[1:] - 2 * steps) / h**2

    def below(to: float) -> np.ndarray:  # of each piece, from its start
        u = np.clip(to - x[:-1], 0, h)
        return y[:-1] * u + slopes[:-1] * u**2 / 2 + square * u**3 / 3 + cube * u**4 / 4

    return float((below(high) - below(low)).sum())
