"""Two runs, clip by clip: how much one differs from the other on the clips that both have a score for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.api import Metric, Row
from bench.statistics.bootstrap import Estimate, columns, difference


@dataclass(frozen=True)
class Paired:
    """The difference of two means over `clips`. Of a metric that should be zero, the difference of the magnitudes."""

    estimate: Estimate
    clips: int


def paired(metric: Metric, a: Mapping[str, Row], b: Mapping[str, Row], seed: int = 0) -> Paired:
    """a - b, of rows by clip. Speakers are those of a's rows: the same, as the data is."""
    common = sorted(clip for clip in a.keys() & b.keys() if not math.isnan(a[clip].value) and not math.isnan(b[clip].value))
    first, weights, clusters = columns([a[clip] for clip in common])
    second, other_weights, _ = columns([b[clip] for clip in common])
    found = difference(sized(metric, first), sized(metric, second), (weights, other_weights), clusters, seed, sized_span(metric))
    return Paired(found, len(common))


def sized(metric: Metric, values: np.ndarray) -> np.ndarray:
    """Values [n] as they are compared: by magnitude where the metric should be zero."""
    return np.abs(values) if metric.better == "zero" else values


def sized_span(metric: Metric) -> tuple[float, float]:
    """Where the values of `sized` are."""
    return (0.0, max(map(abs, metric.span))) if metric.better == "zero" else metric.span


def harm(metric: Metric) -> int:
    """The sign of a difference for the worse; 0 where a metric is neither good nor bad."""
    return {"higher": -1, "lower": 1, "zero": 1, "": 0}[metric.better]


def goodness(metric: Metric, mean: float) -> float:
    """Rises as a mean, that of the magnitudes for a metric that should be zero, gets better."""
    return -harm(metric) * mean
