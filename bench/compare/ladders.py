"""Runs of one codec at several bitrates -> a rate-quality curve (ladder); two of them -> BD-rate with its interval.

A ladder's runs share family, sample rate and weights. A point is the mean quality and the mean bitrate of a domain, both over the clips
that all points of both ladders have. The interval leaves out one speaker at a time (jackknife) and takes Student's t, on the log-rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix

import numpy as np

from bench.api import DOMAINS, Metric, Row
from bench.records.reader import Kept
from bench.records.writer import LAST
from bench.statistics.bd_rate import FEWEST, DeltaRate, Point, delta_rate, percent
from bench.statistics.bootstrap import FEWEST as FEWEST_SPEAKERS
from bench.statistics.bootstrap import columns, t_quantile
from bench.statistics.paired import goodness

MEASURED = "kbps_packed"  # the column that measures a bitrate, where the suite has it; elsewhere the spec's counts


@dataclass(frozen=True)
class Ladder:
    """One codec at several bitrates."""

    name: str
    runs: tuple[Kept, ...]


@dataclass(frozen=True)
class RateLine:
    """BD-rate of a ladder against the anchor at equal `metric`; low..high is the 95 % interval in %."""

    domain: str
    metric: Metric
    ladder: Ladder
    anchor: Ladder
    delta: DeltaRate
    low: float
    high: float
    clips: int
    measured: bool  # the bitrate is that of the packed codes, not the nominal one


def ladders(runs: Sequence[Kept]) -> list[Ladder]:
    """The families with points enough."""
    return [family for family in families(runs) if len(family.runs) >= FEWEST]


def families(runs: Sequence[Kept]) -> list[Ladder]:
    """Runs of one codec together, however few, in the order of their first runs."""
    groups: dict[tuple, list[Kept]] = {}
    for run in runs:
        facts = run.tokenizer
        groups.setdefault((facts["name"], facts["sample_rate"], facts["weights"]), []).append(run)
    return [Ladder(_name(group), tuple(group)) for group in groups.values()]


def _name(runs: Sequence[Kept]) -> str:
    return commonprefix([run.label for run in runs]) + "*"


def rate_lines(found: Sequence[Ladder], metrics: Sequence[Metric]) -> list[RateLine]:
    """Every ladder but the first against the first, in each metric and domain."""
    return [
        line
        for domain in DOMAINS
        for metric in metrics
        for ladder in found[1:]
        if (line := _line(domain, metric, ladder, found[0])) is not None
    ]


def _line(domain: str, metric: Metric, ladder: Ladder, anchor: Ladder) -> RateLine | None:
    """None where the domain has no such scores."""
    runs = [*ladder.runs, *anchor.runs]
    quality = [run.scores.get((domain, metric.name), {}) for run in runs]
    if not all(quality):
        return None
    rates = [run.scores.get((domain, MEASURED), {}) for run in runs]
    measured = all(rates)
    clips = sorted(set.intersection(*(_scored(rows) for rows in (*quality, *(rates if measured else ())))))
    index, count = _clusters([quality[0][clip] for clip in clips])
    goods = [goodness(metric, 1.0) * _means([rows[clip] for clip in clips], index, count) for rows in quality]
    costs = [
        _means([rows[clip] for clip in clips], index, count) if measured else np.full(count + 1, nominal(run) / 1000)
        for rows, run in zip(rates, runs, strict=True)
    ]
    split = len(ladder.runs)
    points = [[Point(float(cost[i]), float(good[i])) for cost, good in zip(costs, goods, strict=True)] for i in range(count + 1)]
    whole, *left = (delta_rate(p[:split], p[split:]) for p in points)
    low, high = _interval(whole.log_ratio, np.array([delta.log_ratio for delta in left]))
    return RateLine(domain, metric, ladder, anchor, whole, percent(low), percent(high), len(clips), measured)


def _scored(rows: Mapping[str, Row]) -> set[str]:
    return {clip for clip, row in rows.items() if not math.isnan(row.value)}


def _clusters(rows: Sequence[Row]) -> tuple[np.ndarray, int]:
    """The cluster of each row, and how many there are."""
    if not rows:
        return np.empty(0, dtype=int), 0
    _, index = np.unique(np.array(columns(rows)[2]), return_inverse=True)
    return index, int(index.max()) + 1


def _means(rows: Sequence[Row], index: np.ndarray, count: int) -> np.ndarray:
    """The weighted mean of all, then without each cluster [1 + count]; NaN where nothing is left."""
    values, weights, _ = columns(rows)
    totals, sizes = np.bincount(index, values * weights, count), np.bincount(index, weights, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.concatenate([[totals.sum() / sizes.sum()], (totals.sum() - totals) / (sizes.sum() - sizes)])


def nominal(run: Kept) -> float:
    """bit/s of the spec, what is sent once spread over the run's mean clip; NaN where the rate varies."""
    seconds = [row.value for row in run.rows if row.metric == LAST and row.value > 0]
    return run.bitrate + (run.bits_once * len(seconds) / math.fsum(seconds) if seconds else 0.0)


def _interval(whole: float, left: np.ndarray) -> tuple[float, float]:
    """Of a statistic and its values without each cluster [G]; NaN where one of them is, and of fewer than five clusters."""
    count = len(left)
    if count < FEWEST_SPEAKERS or not np.isfinite([whole, *left]).all():
        return math.nan, math.nan
    half = t_quantile(count - 1) * math.sqrt((count - 1) / count * float(np.sum((left - left.mean()) ** 2)))
    return whole - half, whole + half


def usable(metrics: Sequence[Metric]) -> list[str]:
    """The metrics that can stand for quality."""
    return [metric.name for metric in metrics if metric.better in ("higher", "lower") and metric.per == "clip"]
