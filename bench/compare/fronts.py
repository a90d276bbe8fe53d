"""Runs with prices -> the best for their price in a metric, by means (the Pareto front), and what of that is told apart from chance.

One question is asked of every run but the cheapest, as its mean has it: does it lead all cheaper ones, or is it beaten by one of them? The
tests are those of `bench compare`, paired over clips with speakers drawn. A lead is one over each cheaper run, so its p is the largest of
theirs (Berger 1982, intersection-union); which of k beats it is chosen by looking, so that p is the smallest, times k (Bonferroni). All
questions of a table are then corrected together (Holm), so that the chance of any wrong answer in it is 5 % at most.

Of a value of the whole corpus there are no clips to pair. Where the runs have its 95 % interval, in columns `_low` and `_high`, a lead is
told apart if the interval meets that of no cheaper run: whatever the two have in common, the difference is then outside its own. Such an
answer is at 95 % by itself, as an interval alone cannot be corrected for the number of questions; who is beaten is not answered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from bench.api import Domain, Metric, Row
from bench.compare.lines import LEVEL
from bench.records.reader import Kept
from bench.statistics.bootstrap import FEWEST, columns, holm
from bench.statistics.paired import goodness, paired

ENDS = ("_low", "_high")  # of the columns that hold an interval
BY_INTERVALS = "by intervals: the runs hold no answers item by item"
NO_INTERVAL = "no test: the runs hold one value of the whole corpus, without an interval"


@dataclass(frozen=True)
class Priced:
    """A run, its mean in the metric, and what it costs: less is cheaper."""

    run: Kept
    price: float
    mean: float


@dataclass(frozen=True)
class Standing:
    """A run beside the cheaper ones. `leads`: none of them is as good, by means. `told`: its lead, or that it is beaten, is told apart
    from chance; None: it was not tested."""

    of: Priced
    leads: bool
    told: bool | None = None


@dataclass(frozen=True)
class Front:
    """One metric, cheapest first; the first is on the front without a lead. `note`: how it was tested if not by clips, or why not."""

    metric: Metric
    standings: tuple[Standing, ...]
    note: str = ""


def fronts(domain: Domain, scored: Sequence[tuple[Metric, Sequence[Priced]]]) -> list[Front]:
    """A front for each metric that is better higher or lower, of two runs or more, whose means are not NaN."""
    found = [Front(metric, _placed(metric, priced)) for metric, priced in scored]
    asked = [_ps(domain, front) for front in found]
    corrected = iter(holm([p for ps in asked for p in ps]))
    answers = [[next(corrected) for _ in ps] for ps in asked]
    return [_answered(domain, front, ps) for front, ps in zip(found, answers, strict=True)]


def _placed(metric: Metric, priced: Sequence[Priced]) -> tuple[Standing, ...]:
    best, standings = -math.inf, []
    for one in sorted(priced, key=lambda one: (one.price, -goodness(metric, one.mean))):
        good = goodness(metric, one.mean)
        standings.append(Standing(one, good > best))
        best = max(best, good)
    return tuple(standings)


def _ps(domain: str, front: Front) -> list[float]:
    """p of each standing's question before Holm; NaN: no test."""
    if front.metric.per != "clip":
        return [math.nan] * len(front.standings)
    rows = [_rows(standing.of.run, domain, front.metric.name) for standing in front.standings]
    return [_p(front.metric, standing.leads, rows[i], rows[:i]) for i, standing in enumerate(front.standings)]


def _p(metric: Metric, leads: bool, own: Mapping[str, Row], cheaper: Sequence[Mapping[str, Row]]) -> float:
    """Of all cheaper ones being behind, or of one of them being ahead; 1 is the p of what points the other way."""
    sign, ps = 1 if leads else -1, []
    for other in cheaper:
        found = paired(metric, own, other).estimate
        ps.append(found.p if not found.tested or sign * goodness(metric, found.value) > 0 else 1.0)
    tested = [p for p in ps if not math.isnan(p)]
    if not tested or (leads and len(tested) < len(ps)):
        return math.nan
    return max(tested) if leads else min(1.0, len(tested) * min(tested))


def _answered(domain: str, front: Front, ps: Sequence[float]) -> Front:
    if front.metric.per == "clip":
        standings = [replace(s, told=None if math.isnan(p) else p < LEVEL) for s, p in zip(front.standings, ps, strict=True)]
        return replace(front, standings=tuple(standings), note="" if any(s.told is not None for s in standings) else _few(domain, front))
    ends = [_ends(standing.of.run, domain, front.metric) for standing in front.standings]
    if all(math.isnan(low) for low, _ in ends):
        return replace(front, note=_no_interval(domain, front))
    standings = [replace(s, told=_apart(ends[i], ends[:i]) if s.leads else None) for i, s in enumerate(front.standings)]
    return replace(front, standings=tuple(standings), note=BY_INTERVALS)


def _ends(run: Kept, domain: str, metric: Metric) -> tuple[float, float]:
    """The worse and the better end of the interval, as goodness; NaN where there is none."""
    found = [row for ending in ENDS for row in _rows(run, domain, metric.name + ending).values()]
    low, high = sorted(goodness(metric, row.value) for row in found) if len(found) == len(ENDS) else (math.nan, math.nan)
    return low, high


def _apart(own: tuple[float, float], cheaper: Sequence[tuple[float, float]]) -> bool | None:
    """Whether the interval is above all the others; None where there are none, or one is missing."""
    if not cheaper or any(math.isnan(end) for ends in (own, *cheaper) for end in ends):
        return None
    return own[0] > max(high for _, high in cheaper)


def _few(domain: str, front: Front) -> str:
    """How many speakers the clips have, at most, that two runs have scores for."""
    there = [_rows(s.of.run, domain, front.metric.name).values() for s in front.standings]
    scored = [{row.clip: row for row in rows if not math.isnan(row.value)} for rows in there]
    speakers = max(len(set(columns([a[clip] for clip in a.keys() & b.keys()])[2])) for a, b in combinations(scored, 2))
    return f"no test: {speakers} speaker{'s' * (speakers != 1)}, {FEWEST} are needed"


def _no_interval(domain: str, front: Front) -> str:
    """The reason that the rows give, where they give one."""
    notes = (row.note for s in front.standings for row in _rows(s.of.run, domain, front.metric.name + ENDS[0]).values() if row.note)
    return next((f"no test: {note}" for note in notes), NO_INTERVAL)


def _rows(run: Kept, domain: str, name: str) -> Mapping[str, Row]:
    return run.scores.get((domain, name), {})
