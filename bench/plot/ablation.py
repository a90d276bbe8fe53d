"""A study's pictures: quality against measured bits, and codebook size against fidelity and cost. Bars are 95 % intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.ablation.designs import Design
from bench.ablation.findings import Finding, Findings
from bench.ablation.tables import caption
from bench.api import Metric
from bench.plot.paper import Line, draw, footnote, sheet
from bench.report.formats import title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERS = ("levels", "size", "rate")  # factors whose values are points of one line
SHOWN = {"levels": "levels", "size": "codes", "rate": "Hz"}


def quality(findings: Findings) -> Figure:
    """A panel a measure: the score against kbit/s of the packed codes; a line for each number that varies, points for others."""
    figure, panels = sheet(len(findings.metrics))
    groups = grouped(findings)
    for axes, metric in zip(panels, findings.metrics, strict=True):
        axes.set_xscale("log")
        axes.set_xlabel("kbit/s of the packed codes")
        axes.set_ylabel(title(metric, metric.unit))
    content = [
        ([_line(name, group, metric, lambda one: one.kbps, i) for i, (name, group) in enumerate(groups)], []) for metric in findings.metrics
    ]
    draw(panels, content)
    _told(figure, findings)
    for axes in panels:
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.xaxis.set_minor_formatter(lambda x, _: f"{x:g}" if f"{x:e}"[0] in "25" else "")
    return figure


def sizes(findings: Findings) -> Figure | None:
    """Codebook size against each measure, and against multiply-accumulates of encoding; None where no size varies."""
    groups = [(name, group) for name, group in grouped(findings, ("size",)) if len(group) > 1]
    if not groups:
        return None
    figure, panels = sheet(len(findings.metrics) + 1)
    content = [([_line(name, group, metric, _size, i) for i, (name, group) in enumerate(groups)], []) for metric in findings.metrics]
    costs = [Line(name, [_size(one) for one in group], [one.macs / 1e6 for one in group], i) for i, (name, group) in enumerate(groups)]
    for axes, label in zip(
        panels, [*(title(m, m.unit) for m in findings.metrics), "encoding, million MAC per second of audio"], strict=True
    ):
        axes.set_xscale("log", base=2)
        axes.set_xlabel("codes of a codebook")
        axes.set_ylabel(label)
    draw(panels, [*content, (costs, [])])
    _told(figure, findings)
    for axes in panels:
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    return figure


def grouped(findings: Findings, numbers: Sequence[str] = NUMBERS) -> list[tuple[str, list[Finding]]]:
    """Designs that differ in one number alone, in the order of their rates, longest groups first; every design is in one at least."""
    found: dict[tuple[str, Design], list[Finding]] = {}
    for factor in numbers:
        for one in findings.found:
            found.setdefault((factor, replace(one.design, **{factor: 1})), []).append(one)
    groups = [(factor, group) for (factor, _), group in found.items() if len(group) > 1]
    held = {one.design for _, group in groups for one in group}
    named = [(_name(factor, group), sorted(group, key=lambda one: (one.kbps, one.design.size))) for factor, group in groups]
    return named + [(one.design.name, [one]) for one in findings.found if one.design not in held]


def _name(factor: str, group: Sequence[Finding]) -> str:
    """`rvq-4x256: levels 1 to 8`: what is the same in all, and what is not."""
    values = sorted(getattr(one.design, factor) for one in group)
    design = group[0].design
    levels, size = ("*" if factor == name else str(getattr(design, name)) for name in ("levels", "size"))
    rest = design.name.partition(f"{design.levels}x{design.size}")[2] if factor != "rate" else ""
    return f"{design.quantizer}-{levels}x{size}{rest}: {values[0]} to {values[-1]} {SHOWN[factor]}"


def _line(name: str, group: Sequence[Finding], metric: Metric, x: Callable[[Finding], float], style: int) -> Line:
    each = [one.measures[metric.name] for one in group]
    scores = [metric.scale * one.value for one in each]
    low, high = (
        [s if math.isnan(b) else metric.scale * b for s, b in zip(scores, bounds, strict=True)]
        for bounds in zip(*((e.low, e.high) for e in each), strict=True)
    )
    return Line(name, [x(one) for one in group], scores, style, low, high)


def _size(one: Finding) -> float:
    return float(one.design.size)


def _told(figure: Figure, findings: Findings) -> None:
    figure.suptitle(caption(findings), fontsize=9)
    bars = "bars: 95 % over seeds (Student's t)" if findings.seeds > 1 else "one seed: no intervals"
    footnote(figure, [f"{bars}. Base: {findings.base.design.name}. What a loss draws to is no measure and not shown."])
