"""How scores go with what people say: every column of some runs against ratings of the same audio, by Pearson and Spearman.

Of every clip through every codec, and of the codecs' means. Intervals (95 %) are of the bootstrap over clips: clips are drawn with
replacement, all codecs with each; of fewer than five clips there is none. A column where lower is better agrees with people when its
correlation is negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from bench.api import Metric
from bench.listening.analysis import FEWEST_POINTS, correlation
from bench.records.reader import Kept
from bench.report.formats import Grid
from bench.statistics.bootstrap import FEWEST

DRAWS = 1000


@dataclass(frozen=True)
class Interval:
    """A correlation, and where it lies in 95 of 100 draws; NaN: too few."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Agreement:
    """One column."""

    suite: str
    metric: Metric
    pearson: Interval
    spearman: Interval
    points: int
    means: tuple[float, float]  # Pearson's and Spearman's of the codecs' means
    codecs: int


def agreements(runs: Sequence[Kept], ratings: Mapping[tuple[str, str], float], seed: int = 0) -> list[Agreement]:
    """Of every column that has enough scores of rated audio, the strongest rank correlation of each suite first."""
    suites: dict[str, list[Kept]] = {}
    for run in runs:
        suites.setdefault(run.suite, []).append(run)
    found = [one for suite, own in suites.items() for metric in own[0].metrics.values() for one in _of(suite, metric, own, ratings, seed)]
    return sorted(found, key=lambda a: (a.suite, math.isnan(a.spearman.value), -abs(a.spearman.value), a.metric.name))


def _of(suite: str, metric: Metric, runs: Sequence[Kept], ratings: Mapping[tuple[str, str], float], seed: int) -> Iterator[Agreement]:
    points = [
        (name, clip, row.value, ratings[name, clip])
        for run in runs
        for row in run.rows
        if row.metric == metric.name
        for name, clip in ((rated_as(run, ratings), PurePosixPath(row.clip).with_suffix("").as_posix()),)
        if (name, clip) in ratings and not math.isnan(row.value)
    ]
    if len(points) < FEWEST_POINTS or len({value for _, _, value, _ in points}) < 2:
        return
    codecs = list(dict.fromkeys(name for name, *_ in points))
    averages = [tuple(np.mean([(x, y) for other, _, x, y in points if other == name], axis=0)) for name in codecs]
    pearson, spearman = _intervals(points, seed)
    yield Agreement(suite, metric, pearson, spearman, len(points), correlation(averages), len(codecs))


def rated_as(run: Kept, ratings: Mapping[tuple[str, str], float]) -> str:
    """What the ratings call a run's tokenizer: its label, or the first half of it, as `bench score` gives."""
    names = {name for name, _ in ratings}
    return run.label if run.label in names else str(run.tokenizer["name"])


def _intervals(points: Sequence[tuple[str, str, float, float]], seed: int) -> tuple[Interval, Interval]:
    of_clip: dict[str, list[tuple[float, float]]] = {}
    for _, clip, x, y in points:
        of_clip.setdefault(clip, []).append((x, y))
    whole, clips = correlation([(x, y) for _, _, x, y in points]), list(of_clip.values())
    if len(clips) < FEWEST:
        return Interval(whole[0]), Interval(whole[1])
    rng = np.random.default_rng(seed)
    drawn = [[pair for i in rng.integers(len(clips), size=len(clips)) for pair in clips[i]] for _ in range(DRAWS)]
    found = np.array([correlation(pairs) for pairs in drawn])
    ends = np.nanpercentile(found, [2.5, 97.5], axis=0)
    return Interval(whole[0], *map(float, ends[:, 0])), Interval(whole[1], *map(float, ends[:, 1]))


def grids(found: Sequence[Agreement]) -> list[Grid]:
    """A table for each suite."""
    header = ["column", "points", "Pearson", "Spearman", "codecs", "Pearson of means", "Spearman of means"]
    arrows = {"higher": " ↑", "lower": " ↓", "zero": " →0", "": ""}
    parts = []
    for suite in dict.fromkeys(one.suite for one in found):
        own = [one for one in found if one.suite == suite]
        lines = [
            [
                one.metric.name + arrows[one.metric.better],
                str(one.points),
                _text(one.pearson),
                _text(one.spearman),
                str(one.codecs),
                *map(_plain, one.means),
            ]
            for one in own
        ]
        parts.append((f"{suite} against people", header, lines))
    return parts


def _plain(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _text(one: Interval) -> str:
    return _plain(one.value) + ("" if math.isnan(one.low) else f" [{one.low:.2f}, {one.high:.2f}]")
