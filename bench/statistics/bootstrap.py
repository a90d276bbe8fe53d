"""Rows -> means with intervals, differences with p-values. NaN scores are counted, never imputed; what varies are speakers, not clips.

A mean is weighted, sum(w x) / sum(w) over the clips, which makes a word error rate exact where w is the words; a difference is that of two
such means over the same clips. A clip that names no speaker is one of its own; of fewer than five there is neither interval nor test.

The interval of a mean stays within the metric's span (bench/statistics/intervals.py). A difference has the symmetric bootstrap-t (Hall
1988): speakers are drawn with replacement, each draw's error is divided by its own standard error, and the quantile of these ratios'
magnitudes makes the interval; p is the same test, turned round.

By simulation (tests/property/test_error_rates.py, 2,000 data sets for each figure: PESQ-like, word errors, heavy tails), of comparisons of
equals 2.6 to 3.9 in 100 have a p below 5 % with 5 and 7 speakers, and 3.4 to 5.2 with 10, 20 and 60; intervals of means hold the truth 94
to 96 times in 100 at all of these numbers. Differences that are skewed, as an exponential is, need more speakers: with 5, 7, 10 and 20
of them 8.0, 8.5, 7.0 and 5.7 comparisons in 100 have a p below 5 %, and intervals hold the truth 91, 91, 93 and 94 times.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from bench.api import DOMAINS, Metric, Row
from bench.statistics.intervals import within

DRAWS = 2000
FEWEST = 5  # speakers: fewer say next to nothing of how speakers vary
MOST = 300  # speakers to draw from: of more, Student's t says the same
FLOOR = 0.4  # of the sample's standard error: a draw of nearly one cluster has none to speak of, and would tear the interval open
ROUNDING = 1e-12  # of the means themselves: what differs by less differs in the arithmetic


@dataclass(frozen=True)
class Summary:
    """One metric over the clips of one domain. `mean` is the weighted mean of the `n` scores that exist; low..high its 95 % interval, NaN
    of fewer than five speakers and of a value of the whole corpus."""

    domain: str
    metric: str
    mean: float
    low: float
    high: float
    n: int
    n_missing: int
    speakers: int = 0  # whose clips have a score, a clip that names none being one of its own; 0: a value of the whole corpus


@dataclass(frozen=True)
class Estimate:
    """A mean or a difference with its 95 % interval; of a difference `p`, two-sided, of its being zero. NaN: fewer than five speakers."""

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


def summarise(rows: Sequence[Row], metrics: Iterable[Metric]) -> list[Summary]:
    """A Summary for each domain and metric that has rows, in the order of the suite's columns."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.domain, row.metric].append(row)
    known = list(metrics)
    return [summary(domain, metric, groups[domain, metric.name]) for domain in DOMAINS for metric in known if groups[domain, metric.name]]


def summary(domain: str, metric: Metric, rows: Sequence[Row]) -> Summary:
    """The Summary of the rows of one metric in one domain."""
    there = [row for row in rows if not math.isnan(row.value)]
    values, weights, clusters = columns(there)
    return summary_of(domain, metric, values, weights, np.array(clusters), len(rows) - len(there))


def summary_of(domain: str, metric: Metric, values: np.ndarray, weights: np.ndarray, clusters: np.ndarray, missing: int) -> Summary:
    """The Summary of values [n] that exist, with their weights [n] and the speaker of each [n], beside so many that are missing."""
    found = mean(values, weights, clusters, metric.span)
    speakers = len(np.unique(clusters)) if metric.per == "clip" else 0
    return Summary(domain, metric.name, found.value, found.low, found.high, len(values), missing, speakers)


def scarce(summaries: Iterable[Summary]) -> list[str]:
    """Where there is no interval because there are too few speakers, a line for each domain; columns are named where it is not all."""
    domains: dict[str, list[Summary]] = defaultdict(list)
    for s in summaries:
        if s.speakers:
            domains[s.domain].append(s)
    return [line for domain, found in domains.items() if (line := _scarce(domain, found))]


def _scarce(domain: str, summaries: Sequence[Summary]) -> str:
    few = [s for s in summaries if s.speakers < FEWEST]
    if not few:
        return ""
    names = list(dict.fromkeys(s.metric for s in few))
    where = domain if len(few) == len(summaries) else f"{domain}, {', '.join(names[:3])}" + " ..." * (len(names) > 3)
    least, most = min(s.speakers for s in few), max(s.speakers for s in few)
    what = ("speaker" if domain == "speech" else "source") + "s" * (most > 1)
    return f"{where}: {f'{least} to ' if least < most else ''}{most} {what}: too few for an interval or a test, {FEWEST} are needed"


def columns(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Values [n], weights [n], and the cluster of each row."""
    return np.array([r.value for r in rows]), np.array([r.weight for r in rows]), [r.speaker or r.clip for r in rows]


def mean(
    values: np.ndarray, weights: np.ndarray, clusters: Sequence[str] | np.ndarray, span: tuple[float, float] = (-math.inf, math.inf)
) -> Estimate:
    """The weighted mean of values [n], each within `span`."""
    sample = _sample([(values, weights, 1)], clusters)
    if sample.speakers < FEWEST:
        return Estimate(sample.value)
    low, high = within(span, sample.value, sample.deviations, t_quantile(sample.speakers - 1))
    return Estimate(sample.value, low + 0.0, high + 0.0)  # never -0.0


def difference(
    a: np.ndarray,
    b: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray],
    clusters: Sequence[str],
    seed: int = 0,
    span: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """The weighted mean of a [n] minus that of b [n], of the same clips, each value within `span`; each has its own weights [n]."""
    sample = _sample([(a, weights[0], 1), (b, weights[1], -1)], clusters)
    if sample.speakers < FEWEST:
        return Estimate(sample.value)
    spread = math.sqrt(sample.speakers / (sample.speakers - 1) * float(np.sum(sample.deviations**2)))
    error = max(spread, ROUNDING * sample.size, sys.float_info.min)
    ratios = _ratios(sample, error, seed)
    half, reach = ratios.quantile * error, span[1] - span[0]
    low, high = max(-reach, sample.value - half), min(reach, sample.value + half)
    return Estimate(sample.value, low + 0.0, high + 0.0, ratios.p(abs(sample.value) / error))


@dataclass(frozen=True)
class _Sample:
    """A signed sum of weighted means, and what each of G speakers does to it; `parts`: weights [G] and excess [G] of each mean."""

    value: float
    speakers: int = 0
    size: float = 0.0  # magnitude of the largest mean
    deviations: np.ndarray = field(default_factory=lambda: np.empty(0))  # [G], of which the error is made
    parts: Sequence[tuple[np.ndarray, np.ndarray]] = ()


def _sample(means: Sequence[tuple[np.ndarray, np.ndarray, int]], clusters: Sequence[str] | np.ndarray) -> _Sample:
    """Of means of values [n] with weights [n] and a sign."""
    if any(not weights.sum() > 0 for _, weights, _ in means):
        return _Sample(math.nan)
    each = [float(np.average(values, weights=weights)) for values, weights, _ in means]
    whole = sum(sign * value for value, (_, _, sign) in zip(each, means, strict=True)) + 0.0  # never -0.0
    _, index = np.unique(np.array(clusters), return_inverse=True)
    count = int(index.max()) + 1
    if count < FEWEST:
        return _Sample(whole, speakers=count)
    # [G] of each mean: weights, and what the cluster's values sum to beyond the mean
    parts = [(np.bincount(index, w), sign * np.bincount(index, w * (x - m))) for m, (x, w, sign) in zip(each, means, strict=True)]
    deviations = np.sum([excess / weights.sum() for weights, excess in parts], axis=0)
    size = max(map(abs, each))
    if np.abs(deviations).max() < ROUNDING * size:  # rounding, not speakers
        deviations = np.zeros(count)
    return _Sample(whole, count, size, deviations, parts)


@dataclass(frozen=True)
class _Ratios:
    """How errors over their own standard errors are distributed: magnitudes of draws, sorted; none: as Student's t."""

    draws: np.ndarray
    speakers: int

    @cached_property
    def quantile(self) -> float:
        """The magnitude that is passed 5 % of the time."""
        return float(np.percentile(self.draws, 95)) if len(self.draws) else t_quantile(self.speakers - 1)

    def p(self, t: float) -> float:
        """Two-sided, of a ratio of magnitude t: from the draws up to the interval's edge; beyond it, by Student's tail."""
        if not len(self.draws):
            return 2 * t_tail(t, self.speakers - 1)
        if t > self.quantile:
            return 0.05 * t_tail(t, self.speakers - 1) / t_tail(self.quantile, self.speakers - 1)
        return (1 + len(self.draws) - int(np.searchsorted(self.draws, t))) / (1 + len(self.draws))


def _ratios(sample: _Sample, error: float, seed: int) -> _Ratios:
    """`error`: the sample's own standard error, or what rounding makes of none."""
    return _Ratios(_studentised(sample.parts, error, seed) if sample.speakers <= MOST else np.empty(0), sample.speakers)


def _studentised(parts: Sequence[tuple[np.ndarray, np.ndarray]], error: float, seed: int) -> np.ndarray:
    """The magnitude of each draw's error over its own standard error [DRAWS], sorted."""
    count = len(parts[0][0])
    times = drawn(count, seed)
    off = np.zeros(DRAWS)
    # a cluster's deviation in a draw is a sum of products: of what belongs to the cluster [G], and a factor of the draw [DRAWS]
    clusters, factors = [], []
    for weights, excess in parts:
        total = times @ weights
        wrong = times @ excess / total
        off += wrong
        clusters += [excess, weights]
        factors += [1 / total, -wrong / total]
    squares = (np.stack(clusters)[:, None] * np.stack(clusters)[None]).reshape(-1, count)
    sums = (times @ squares.T).reshape(DRAWS, len(clusters), len(clusters))
    variance = np.einsum("id,dij,jd->d", np.stack(factors), sums, np.stack(factors))
    errors = np.sqrt(count / (count - 1) * np.maximum(variance, 0.0))
    return np.sort(np.abs(off) / np.maximum(errors, FLOOR * error))


def t_quantile(freedom: float) -> float:
    """The t > 0 beyond which 2.5 % of Student's distribution with `freedom` degrees of freedom are found."""
    from scipy.special import stdtrit  # here: the command line answers without waiting for scipy

    return -float(stdtrit(freedom, 0.025))


def t_tail(t: float, freedom: float) -> float:
    """P(T >= t) of Student's distribution, to full relative precision far out in its tail."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -t))


@lru_cache(maxsize=8)  # the metrics of a domain mostly have the same clips
def drawn(count: int, seed: int) -> np.ndarray:
    """How often each of `count` clusters comes in each draw [DRAWS, count]: the same for the same seed."""
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


class Reasons:
    """Why scores are missing, counted clip by clip."""

    def __init__(self) -> None:
        self._clips: Counter[str] = Counter()
        self._metrics: dict[str, set[str]] = defaultdict(set)

    def add(self, rows: Iterable[Row]) -> None:
        """The rows of one clip."""
        lost = [row for row in rows if math.isnan(row.value)]
        self._clips.update({row.note: 1 for row in lost})
        for row in lost:
            self._metrics[row.note].add(row.metric)

    def found(self) -> list[tuple[str, str, int]]:
        """(metrics, note, clips), the most frequent first."""
        return [(", ".join(sorted(self._metrics[note])), note, count) for note, count in self._clips.most_common()]


def reasons(rows: Iterable[Row]) -> list[tuple[str, str, int]]:
    """(metrics, note, clips) of the scores that are missing, the most frequent first."""
    clips: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if math.isnan(row.value) and row.clip != "*":
            clips[row.clip].append(row)
    found = Reasons()
    for own in clips.values():
        found.add(own)
    return found.found()
