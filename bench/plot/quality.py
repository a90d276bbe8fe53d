"""Quality against bitrate: one line per family, its runs in the order of their rates. The rates are those of the packed codes.

Tokenizers without weights are anchors: grey. One that spends far more bits than the others, as raw samples do, is a level across the
picture with its rate in its name, so that it does not press all others into a corner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.api import Metric, UserError
from bench.compare.ladders import MEASURED, Ladder, families, nominal
from bench.plot.paper import Level, Line, draw, footnote, sheet
from bench.records.reader import Kept, names, refuse_unlike
from bench.report import marks
from bench.report.formats import title
from bench.statistics.bootstrap import summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAR = 4.0  # times the largest rate of what has weights


@dataclass(frozen=True)
class Spot:
    """A run in the picture: bitrate in kbit/s, mean score with its interval, in the metric's shown unit."""

    run: Kept
    rate: float
    score: float
    low: float
    high: float


def figure(runs: Sequence[Kept], metrics: Sequence[Metric], domain: str) -> Figure:
    """A panel a metric."""
    refuse_unlike(runs)
    sheet_, panels = sheet(len(metrics))
    first = runs[0]
    content = [arranged(runs, metric, domain) for metric in metrics]
    for axes, metric in zip(panels, metrics, strict=True):
        axes.set_xscale("log")
        axes.set_xlabel("kbit/s of the packed codes")
        axes.set_ylabel(title(metric, metric.unit))
    draw(panels, content)
    for axes in panels:
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.xaxis.set_minor_formatter(lambda x, _: f"{x:g}" if f"{x:e}"[0] in "25" else "")
    sheet_.suptitle(f"{first.suite} on {first.record['data_name']}, {domain}: mean and 95 % interval over speakers", fontsize=9)
    footnote(sheet_, marks.line(map(marks.of_run, runs)))
    return sheet_


def arranged(runs: Sequence[Kept], metric: Metric, domain: str) -> tuple[list[Line], list[Level]]:
    """Lines by family, the anchors last, and levels; of the clips that all have a score for."""
    called = {run.where: marks.marked(name, marks.of_run(run)) for run, name in zip(runs, names(runs), strict=True)}
    spots = {run.where: _spot(run, metric, domain, runs) for run in runs}
    bought = [spot.rate for spot in spots.values() if not _anchor(spot.run)]
    limit = FAR * max(bought, default=math.inf)
    groups = [(family, sorted((spots[run.where] for run in family.runs), key=lambda spot: spot.rate)) for family in families(runs)]
    near = [(family, group) for family, group in groups if group[0].rate <= limit]
    near.sort(key=lambda one: _anchor(one[1][0].run))
    lines = [_line(family, group, called, style) for style, (family, group) in enumerate(near)]
    far = [spot for _, group in groups for spot in group if group[0].rate > limit]
    return lines, [Level(f"{called[s.run.where]}, {s.rate:.0f} kbit/s", s.score) for s in far]


def _line(family: Ladder, group: Sequence[Spot], called: dict, style: int) -> Line:
    name = marks.marked(family.name, marks.of_run(group[0].run)) if len(group) > 1 else called[group[0].run.where]
    columns = zip(*((s.rate, s.score, s.low, s.high) for s in group), strict=True)
    rate, score, low, high = (list(column) for column in columns)
    low, high = ([s if math.isnan(b) else b for s, b in zip(score, bounds, strict=True)] for bounds in (low, high))
    return Line(name, rate, score, style, low, high, quiet=_anchor(group[0].run))


def _anchor(run: Kept) -> bool:
    return run.tokenizer["weights"] == "none"


def _spot(run: Kept, metric: Metric, domain: str, runs: Sequence[Kept]) -> Spot:
    tables = [other.scores.get((domain, metric.name), {}) for other in runs]
    for other, table in zip(runs, tables, strict=True):
        if not any(not math.isnan(row.value) for row in table.values()):
            raise UserError(f"{other.label} has no {metric.name} of {domain}: choose another --metric or --domain, or leave it out")
    common = set.intersection(*({clip for clip, row in table.items() if not math.isnan(row.value)} for table in tables))
    if not common:
        raise UserError(f"there is no clip of {domain} that all of them have a {metric.name} for")
    mine = run.scores[domain, metric.name]
    found = summary(domain, metric, [mine[clip] for clip in sorted(common)])
    rates = run.scores.get((domain, MEASURED), {})
    rate = (
        summary(domain, run.metrics[MEASURED], [rates[clip] for clip in sorted(common & rates.keys())]).mean
        if rates
        else nominal(run) / 1000
    )
    if math.isnan(rate):
        raise UserError(f"{run.label} has no bitrate in the suite {run.suite}: leave it out, or plot the suite reconstruction")
    score, low, high = (metric.scale * value for value in (found.mean, found.low, found.high))
    return Spot(run, rate, score, low, high)
