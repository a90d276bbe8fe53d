"""Regressions of a run against the baseline: a mean that got worse, a metric that disappeared, more missing scores.

Worse is: in the metric's bad direction by more than its tolerance, and significantly so on paired clips (one-sided, Holm over all tests of
one gate, 5 %): among runs that are as good as their baseline, one gate in twenty at most raises an alarm. Where there is no test, as of a
value of the whole corpus or of fewer than five speakers, and with `strict` everywhere, the tolerance alone decides.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from bench.api import Metric, Row, TrainedHere, UserError
from bench.records.reader import Kept, unlike
from bench.report import marks
from bench.statistics.bootstrap import Estimate, Summary, holm, summary
from bench.statistics.paired import harm, paired

LEVEL = 0.05
WORST = 5  # clips that are named of a regression
Verdict = Literal["same", "better", "worse", "missing", "gone"]


@dataclass(frozen=True)
class Clip:
    """One clip of a regression; NaN where a score is missing, and then why."""

    name: str
    before: float
    now: float
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """One metric in one domain of one run. `change` is now - before, on the clips that both have a score for."""

    suite: str
    tokenizer: str
    domain: str
    metric: Metric
    then: Sequence[Row]
    rows: Sequence[Row]  # of now; none: the metric is gone
    change: Estimate
    p: float = math.nan  # one-sided, of its being no worse, corrected; NaN where there was no test
    verdict: Verdict = "same"
    why: str = ""
    trained_here: TrainedHere | None = None  # of the run's weights, which tables mark

    @cached_property
    def before(self) -> Summary:
        return summary(self.domain, self.metric, self.then)

    @cached_property
    def now(self) -> Summary | None:
        return summary(self.domain, self.metric, self.rows) if self.rows else None

    @property
    def lost(self) -> int:
        """How many scores fewer there are."""
        return _scored(self.then) - _scored(self.rows)

    @property
    def failed(self) -> bool:
        return self.verdict in ("worse", "missing", "gone")

    def worst(self, count: int = WORST) -> list[Clip]:
        """The clips that lost their score, then those that got worse by most; none where the metric has no values of clips."""
        then = {row.clip: row.value for row in self.then if row.clip != "*" and not math.isnan(row.value)}
        both = [Clip(row.clip, then[row.clip], row.value, row.note) for row in self.rows if row.clip in then]
        lost = [clip for clip in both if math.isnan(clip.now)]
        worse = [clip for clip in both if _harm_done(self.metric, clip) > 0] if self.verdict == "worse" else []
        return (lost + sorted(worse, key=lambda clip: _harm_done(self.metric, clip), reverse=True))[:count]


def _harm_done(metric: Metric, clip: Clip) -> float:
    """How much worse a clip became."""
    before, now = (abs(clip.before), abs(clip.now)) if metric.better == "zero" else (clip.before, clip.now)
    return (before - now) if metric.better == "higher" else (now - before)


def judge(pairs: Sequence[tuple[Kept, Kept]], strict: bool = False) -> list[Finding]:
    """Findings of (baseline, now), by run, domain and metric. UserError where the two cannot be compared."""
    for before, now in pairs:
        refuse(before, now)
    findings = [finding for before, now in pairs for finding in _found(before, now)]
    tests = [f.change if harm(f.metric) > 0 else _turned(f.change) for f in findings]
    ps = holm([test.p_above() if harm(f.metric) else math.nan for f, test in zip(findings, tests, strict=True)])
    return [_judged(replace(f, p=p), test.value if harm(f.metric) else 0.0, strict) for f, test, p in zip(findings, tests, ps, strict=True)]


def _turned(change: Estimate) -> Estimate:
    return Estimate(-change.value, -change.high, -change.low, change.p)


def refuse(before: Kept, now: Kept) -> None:
    """UserError where a run cannot be judged by that baseline."""
    if different := unlike(before, now):
        raise UserError(
            f"{now.label}, {now.suite}: the baseline and {now.where} differ in {'; '.join(different)}: "
            "run with what the baseline was made with, or accept the change with bench gate --update"
        )
    if before.machine != now.machine:
        raise UserError(
            f"{now.label}, {now.suite}: timed on {now.machine}, the baseline on {before.machine}: speeds of two machines cannot be compared"
        )
    if now.unfinished:
        raise UserError(f"{now.where}: {now.unfinished} of {now.record['clips']} clips have not run yet: the same bench run resumes")


def _found(before: Kept, now: Kept) -> list[Finding]:
    findings = []
    for (domain, name), then in before.scores.items():
        metric = now.metrics.get(name, before.metrics[name])
        rows = now.scores.get((domain, name), {})
        findings.append(
            Finding(
                now.suite,
                now.label,
                domain,
                metric,
                tuple(then.values()),
                tuple(rows.values()),
                paired(metric, rows, then).estimate,
                trained_here=marks.of_run(now),
            )
        )
    return findings


def _scored(rows: Sequence[Row]) -> int:
    return sum(not math.isnan(row.value) for row in rows)


def _reason(rows: Sequence[Row]) -> str:
    """The note that most of the missing scores have."""
    notes = Counter(row.note for row in rows if math.isnan(row.value) and row.note)
    return notes.most_common(1)[0][0] if notes else ""


def _judged(finding: Finding, harm_done: float, strict: bool) -> Finding:
    """`harm_done`: the change, positive where it is for the worse."""
    f, tolerance = finding, finding.metric.tolerance
    if not f.rows:
        return replace(f, verdict="gone", why="gone")
    if f.lost > 0:
        return replace(f, verdict="missing", why=f"{f.lost} of {_scored(f.then)} missing: {_reason(f.rows) or 'no reason noted'}")
    untested = math.isnan(f.p)
    if harm_done > tolerance and (strict or untested or f.p < LEVEL):
        most = f"{tolerance * f.metric.scale:g} {f.metric.shown_unit}".rstrip()
        return replace(f, verdict="worse", why=f"worse by > {most}" + (" (no test)" if untested and not strict else ""))
    good = -harm_done > tolerance and not f.change.low <= 0 <= f.change.high
    return replace(f, verdict="better" if good else "same")
