"""Ratings -> who is counted, means with intervals, paired tests and what the metrics of the runs have to do with it.

Listeners are screened by ITU-R BS.1534-3: out is who rates the hidden reference below 90 in more than 15 % of the trials. Intervals and
tests are over listeners and items (bench/statistics/crossed.py), p-values corrected by Holm.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.listening.answers import SCALE, Answers
from bench.listening.blind_test import REFERENCE
from bench.statistics.bootstrap import Estimate, holm
from bench.statistics.crossed import crossed

HEARD, SHARE = 90.0, 0.15  # the lowest rating of a reference that was heard, and the share of trials in which it may be missed
FEWEST_POINTS = 5  # of a correlation


@dataclass(frozen=True)
class Screened:
    """One listener: in how many trials the hidden reference, and the mid anchor, were not rated as they should be."""

    listener: str
    trials: int
    missed: int  # trials with the hidden reference below 90
    anchors: int  # trials with a 7 kHz anchor above 90
    of_anchors: int  # trials that have one

    @property
    def out(self) -> bool:
        return self.trials == 0 or self.missed > SHARE * self.trials

    @property
    def deaf_to_anchor(self) -> bool:
        """Rates the mid anchor above 90 in more than 15 % of its trials: told, not excluded, as the clip may have nothing above 7 kHz."""
        return self.anchors > SHARE * self.of_anchors


@dataclass(frozen=True)
class Mean:
    """One condition over all listeners who are counted."""

    name: str
    kind: str
    estimate: Estimate
    listeners: int
    items: int


@dataclass(frozen=True)
class Difference:
    """a - b, of the same listeners and items; `p` is Holm's."""

    a: str
    b: str
    estimate: Estimate
    p: float


@dataclass(frozen=True)
class Correlation:
    """A metric's scores against mean ratings: of every clip through every tokenizer, and of the tokenizers' means."""

    metric: str
    better: str
    pearson: float
    spearman: float
    clips: int
    pearson_means: float
    spearman_means: float
    tokenizers: int


@dataclass(frozen=True)
class Analysis:
    """All that is told of a test."""

    answers: Answers  # of those who are counted
    screened: tuple[Screened, ...]
    means: tuple[Mean, ...]
    differences: tuple[Difference, ...]
    correlations: tuple[Correlation, ...]


def analyse(answers: Answers, screen: bool = True) -> Analysis:
    """Everything; without `screen` every listener is counted."""
    screened = tuple(screening(answers, listener) for listener in answers.listeners)
    counted = answers.without([s.listener for s in screened if s.out] if screen else [])
    found = tuple(mean(counted, name, kind) for name, kind in answers.key.names.items())
    return Analysis(counted, screened, found, tuple(differences(counted)), tuple(correlations(counted)))


def screening(answers: Answers, listener: str) -> Screened:
    """What the rule looks at."""
    own = answers.of(listener)
    references = [r.value for r in own if r.name == REFERENCE]
    anchors = [r.value for r in own if r.name == "anchor 7 kHz"]
    missed, above = sum(value < HEARD for value in references), sum(value > HEARD for value in anchors)
    return Screened(listener, len(references), missed, above, len(anchors))


def mean(answers: Answers, name: str, kind: str) -> Mean:
    """A condition's mean rating."""
    table = answers.table(name)
    found = crossed(*_columns(table), span=SCALE)
    estimate = Estimate(found.value, found.low, found.high)
    return Mean(name, kind, estimate, len({listener for listener, _ in table}), len({item for _, item in table}))


def _columns(table: dict[tuple[str, str], float]) -> tuple[np.ndarray, list[str], list[str]]:
    """Values, listeners, items."""
    return np.array(list(table.values())), [listener for listener, _ in table], [item for _, item in table]


def differences(answers: Answers) -> list[Difference]:
    """Of each two tokenizers, and of each tokenizer and the hidden reference, the largest mean first."""
    names = [name for name, kind in answers.key.names.items() if kind != "anchor"]
    means = {name: float(np.mean([*answers.table(name).values()] or [math.nan])) for name in names}
    ordered = sorted(names, key=lambda name: (name != REFERENCE, -means[name]))
    found = []
    for a, b in itertools.combinations(ordered, 2):
        ours, theirs = answers.table(a), answers.table(b)
        found.append((a, b, crossed(*_columns({place: ours[place] - theirs[place] for place in ours if place in theirs}))))
    ps = holm([estimate.p for _, _, estimate in found])
    return [Difference(a, b, estimate, p) for (a, b, estimate), p in zip(found, ps, strict=True)]


def correlations(answers: Answers) -> list[Correlation]:
    """Of every metric that the runs have on the test's clips, the strongest rank correlation first."""
    ratings: dict[tuple[str, str], list[float]] = {}
    for rating in answers.ratings:
        ratings.setdefault((rating.name, rating.item), []).append(rating.value)
    scores = {(c.name, c.item): c.scores for c in answers.key.conditions.values() if c.kind == "tokenizer"}
    found = []
    for fact in answers.key.metrics:
        points = [(p[0], scores[p][fact["name"]], float(np.mean(v))) for p, v in ratings.items() if fact["name"] in scores.get(p, {})]
        if len(points) < FEWEST_POINTS:
            continue
        by_name = {name: [(x, y) for other, x, y in points if other == name] for name, _, _ in points}
        averages = [tuple(np.mean(pairs, axis=0)) for pairs in by_name.values()]
        clips, means = correlation([(x, y) for _, x, y in points]), correlation(averages)
        found.append(Correlation(fact["name"], fact["better"], *clips, len(points), *means, len(averages)))
    return sorted(found, key=lambda c: (math.isnan(c.spearman), -abs(c.spearman), c.metric))


def correlation(points: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Pearson's and Spearman's; NaN of fewer than three points, or where one side is constant."""
    from scipy.stats import rankdata  # here: the command line answers without waiting for scipy

    x, y = np.array(points, dtype=float).T if len(points) else (np.empty(0), np.empty(0))
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan, math.nan
    return float(np.corrcoef(x, y)[0, 1]), float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
