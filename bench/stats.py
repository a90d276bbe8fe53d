"""Rows -> means with intervals. NaN scores are counted, never imputed; intervals resample speakers, not clips."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench.api import DOMAINS, Metric, Row

DRAWS = 2000


@dataclass(frozen=True)
class Summary:
    """One metric over the clips of one domain. `mean` is the weighted mean of the `n` scores that exist; low..high its 95 % interval."""

    domain: str
    metric: str
    mean: float
    low: float
    high: float
    n: int
    n_missing: int


def summarise(rows: Sequence[Row], metrics: Iterable[Metric], seed: int = 0) -> list[Summary]:
    """A Summary for each domain and metric that has rows, in the order of the suite's columns."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.domain, row.metric].append(row)
    names = [metric.name for metric in metrics]
    return [_summary(domain, name, groups[domain, name], seed) for domain in DOMAINS for name in names if groups[domain, name]]


def _summary(domain: str, metric: str, rows: list[Row], seed: int) -> Summary:
    there = [row for row in rows if not math.isnan(row.value)]
    if not there:
        return Summary(domain, metric, math.nan, math.nan, math.nan, 0, len(rows))
    values = np.array([row.value for row in there])
    weights = np.array([row.weight for row in there])
    low, high = bootstrap(values, weights, [row.speaker or row.clip for row in there], seed)
    return Summary(domain, metric, float(np.average(values, weights=weights)), low, high, len(there), len(rows) - len(there))


def bootstrap(values: np.ndarray, weights: np.ndarray, clusters: Sequence[str], seed: int, draws: int = DRAWS) -> tuple[float, float]:
    """95 % percentile interval of the weighted mean of values [n] when whole clusters are drawn with replacement; NaN for one cluster."""
    _, index = np.unique(np.array(clusters), return_inverse=True)
    count = int(index.max()) + 1
    if count < 2:
        return math.nan, math.nan
    totals = np.bincount(index, values * weights)
    sizes = np.bincount(index, weights)
    drawn = _drawn(count, seed, draws)
    low, high = np.percentile(drawn @ totals / (drawn @ sizes), (2.5, 97.5))
    return float(low), float(high)


@lru_cache(maxsize=8)  # the metrics of a domain mostly have the same clips
def _drawn(count: int, seed: int, draws: int) -> np.ndarray:
    """How often each of `count` clusters comes in each draw [draws, count]."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)


def reasons(rows: Iterable[Row]) -> list[tuple[str, str, int]]:
    """(metrics, note, clips) of the scores that are missing, the most frequent first."""
    clips: dict[str, set[str]] = defaultdict(set)
    metrics: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if math.isnan(row.value) and row.clip != "*":
            clips[row.note].add(row.clip)
            metrics[row.note].add(row.metric)
    return [(", ".join(sorted(metrics[note])), note, len(clips[note])) for note in sorted(clips, key=lambda note: -len(clips[note]))]
