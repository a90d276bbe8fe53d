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
    ours, theirs = (_integral(points, low, high) for points in ladders)
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


def _integral(points: Sequence[Point], low: float, high: float) -> float:
    """Of log10(rate) over the quality, from low to high: exactly that of the piecewise cubic."""
    from scipy.interpolate import PchipInterpolator  # here: the command line answers without waiting for scipy

    curve = PchipInterpolator([point.quality for point in points], np.log10([point.rate for point in points]))
    return float(curve.integrate(low, high))
