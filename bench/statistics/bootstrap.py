"""Rows -> means with intervals, differences with p-values. NaN scores are counted, never imputed; what varies are speakers, not clips.

A mean is weighted, sum(w x) / sum(w) over the clips, which makes a word error rate exact where w is the words; a difference is that of two
such means over the same clips. Speakers (clusters) are drawn with replacement, a clip that names none being its own. Each draw
is studentised, its error over its own standard error, and the quantiles of that ratio make the interval (the bootstrap-t, Hall 1988): with
ten speakers it covers the truth 94 times in 100, where percentiles of the drawn means do so 90 times. p is the same test, turned round.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench.api import DOMAINS, Metric, Row

DRAWS = 2000
FEWEST, MOST = 5, 300  # clusters to draw from: of fewer there is no choice, of more Student's t says the same; it takes over there
FLOOR = 0.4  # of the sample's standard error: a draw of nearly one cluster has none to speak of, and would tear the interval open
ROUNDING = 1e-12  # of the means themselves: what differs by less differs in the arithmetic


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


@dataclass(frozen=True)
class Estimate:
    """A mean or a difference with its 95 % interval; `p`, two-sided, of its being zero. One cluster: no interval and no p, but NaN."""

    value: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan

    @property
    def tested(self) -> bool:
        """Whether there were clusters enough for a test."""
        return not math.isnan(self.p)

    def p_above(self) -> float:
        """One-sided: of its being zero or less."""
        return self.p / 2 if self.value > 0 else 1 - self.p / 2


def summarise(rows: Sequence[Row], metrics: Iterable[Metric], seed: int = 0) -> list[Summary]:
    """A Summary for each domain and metric that has rows, in the order of the suite's columns."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.domain, row.metric].append(row)
    names = [metric.name for metric in metrics]
    return [summary(domain, name, groups[domain, name], seed) for domain in DOMAINS for name in names if groups[domain, name]]


def summary(domain: str, metric: str, rows: Sequence[Row], seed: int = 0) -> Summary:
    """The Summary of the rows of one metric in one domain."""
    there = [row for row in rows if not math.isnan(row.value)]
    values, weights, clusters = columns(there)
    found = mean(values, weights, clusters, seed)
    return Summary(domain, metric, found.value, found.low, found.high, len(there), len(rows) - len(there))


def columns(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Values [n], weights [n], and the cluster of each row."""
    return np.array([r.value for r in rows]), np.array([r.weight for r in rows]), [r.speaker or r.clip for r in rows]


def mean(values: np.ndarray, weights: np.ndarray, clusters: Sequence[str], seed: int = 0) -> Estimate:
    """The weighted mean of values [n]."""
    return _estimate([(values, weights, 1)], clusters, seed)


def difference(a: np.ndarray, b: np.ndarray, weights: tuple[np.ndarray, np.ndarray], clusters: Sequence[str], seed: int = 0) -> Estimate:
    """The weighted mean of a [n] minus that of b [n], of the same clips; each has its own weights [n]."""
    return _estimate([(a, weights[0], 1), (b, weights[1], -1)], clusters, seed)


def _estimate(means: Sequence[tuple[np.ndarray, np.ndarray, int]], clusters: Sequence[str], seed: int) -> Estimate:
    """The signed sum of weighted means of values [n] with weights [n]."""
    if any(not weights.sum() > 0 for _, weights, _ in means):
        return Estimate(math.nan)
    each = [float(np.average(values, weights=weights)) for values, weights, _ in means]
    whole = sum(sign * value for value, (_, _, sign) in zip(each, means, strict=True))
    _, index = np.unique(np.array(clusters), return_inverse=True)
    count = int(index.max()) + 1
    if count < 2:
        return Estimate(whole)
    # [G] of each mean: weights, and what the cluster's values sum to beyond the mean
    parts = [(np.bincount(index, w), sign * np.bincount(index, w * (x - m))) for m, (x, w, sign) in zip(each, means, strict=True)]
    deviations = sum(excess / weights.sum() for weights, excess in parts)
    error = max(math.sqrt(count / (count - 1) * float(np.sum(deviations**2))), ROUNDING * max(map(abs, each)), sys.float_info.min)
    draws = _studentised(parts, error, seed) if FEWEST <= count <= MOST else np.empty(0)
    low, high = np.percentile(draws, (2.5, 97.5)) if len(draws) else (-t_quantile(count - 1), t_quantile(count - 1))
    t = whole / error
    p = 2 * min(_p_beyond(t, float(high), draws, count), _p_beyond(-t, -float(low), -draws[::-1], count))
    least, most = -math.inf, math.inf
    if all(x.min() >= 0 and x.max() <= 1 for x, _, _ in means):  # shares: no mean of them lies beyond 0..1
        least, most = -float(sum(sign < 0 for _, _, sign in means)), float(sum(sign > 0 for _, _, sign in means))
    return Estimate(whole, max(least, whole - float(high) * error), min(most, whole - float(low) * error), min(1.0, p))


def _studentised(parts: Sequence[tuple[np.ndarray, np.ndarray]], error: float, seed: int) -> np.ndarray:
    """Each draw's error over its own standard error [DRAWS], sorted. `parts`: weights [G] and excess [G] of each mean."""
    count = len(parts[0][0])
    drawn = _drawn(count, seed)
    off, deviations = np.zeros(DRAWS), np.zeros((DRAWS, count))
    for weights, excess in parts:
        total = drawn @ weights
        wrong = drawn @ excess / total
        off += wrong
        deviations += (excess - wrong[:, None] * weights) / total[:, None]
    errors = np.sqrt(count / (count - 1) * np.einsum("dg,dg->d", drawn, deviations**2))
    return np.sort(off / np.maximum(errors, FLOOR * error))


def _p_beyond(t: float, edge: float, draws: np.ndarray, count: int) -> float:
    """One-sided p of a ratio t: up to the interval's edge from the draws; beyond it they are too few, and Student's tail goes on."""
    if not len(draws):
        return t_tail(t, count - 1)
    if t > edge:
        return 0.025 * t_tail(t, count - 1) / t_tail(edge, count - 1)
    return (1 + len(draws) - int(np.searchsorted(draws, t))) / (1 + len(draws))


def t_quantile(freedom: int) -> float:
    """The t > 0 beyond which 2.5 % of Student's distribution with `freedom` degrees of freedom are found."""
    from scipy.special import stdtrit  # here: the command line answers without waiting for scipy

    return -float(stdtrit(freedom, 0.025))


def t_tail(t: float, freedom: int) -> float:
    """P(T >= t) of Student's distribution, to full relative precision far out in its tail."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -t))


@lru_cache(maxsize=8)  # the metrics of a domain mostly have the same clips
def _drawn(count: int, seed: int) -> np.ndarray:
    """How often each of `count` clusters comes in each draw [DRAWS, count]."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float64)


def holm(ps: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): below 0.05 the chance that any is wrong is 5 % at most. NaN is no test and stays."""
    order = sorted((i for i, p in enumerate(ps) if not math.isnan(p)), key=lambda i: ps[i])
    corrected, largest = [math.nan] * len(ps), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * ps[i]))
        corrected[i] = largest
    return corrected


def remarks(rows: Iterable[Row], metrics: Iterable[Metric]) -> list[tuple[list[str], list[str], str]]:
    """(metrics, domains, note) of the values of the whole corpus that have a note, as those that are missing have."""
    noted: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        if row.clip == "*" and row.note:
            noted[row.note].add((row.metric, row.domain))
    names = [metric.name for metric in metrics]
    return [
        (
            [name for name in names if any(name == metric for metric, _ in where)],
            [d for d in DOMAINS if any(d == x for _, x in where)],
            note,
        )
        for note, where in noted.items()
    ]


def reasons(rows: Iterable[Row]) -> list[tuple[str, str, int]]:
    """(metrics, note, clips) of the scores that are missing, the most frequent first."""
    clips: dict[str, set[str]] = defaultdict(set)
    metrics: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if math.isnan(row.value) and row.clip != "*":
            clips[row.note].add(row.clip)
            metrics[row.note].add(row.metric)
    return [(", ".join(sorted(metrics[note])), note, len(clips[note])) for note in sorted(clips, key=lambda note: -len(clips[note]))]
