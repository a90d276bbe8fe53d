"""Speed against batch size: one line per tokenizer, encode and decode in separate panels, at one representative length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.plot.paper import Line, draw, footnote, sheet
from bench.records.reader import Kept, names
from bench.report import marks
from bench.throughput import table
from bench.throughput.sweep import parse

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDES = ("encode", "decode")


def figure(runs: Sequence[Kept]) -> Figure:
    """A panel for encode, and one for decode where anything decodes, on the same scale."""
    for run in runs:
        if "sweep" not in run.identity:
            raise UserError(
                f"{run.where} is a run of the suite {run.suite}, which does not time: make one with bench run --suite throughput"
            )
    content = [(side, lines) for side in SIDES if (lines := arranged(runs, side))]
    if not content:
        raise UserError(f"no timings in {', '.join(str(run.where) for run in runs)}: see its sweep.csv")
    sheet_, panels = sheet(len(content), same_scale=True)
    for axes, (side, _) in zip(panels, content, strict=True):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("clips per batch")
        axes.set_ylabel(f"{side}: seconds of audio per second")
    from matplotlib.ticker import LogLocator, NullFormatter  # sheet has told who lacks it

    draw(panels, [(lines, ()) for _, lines in content])
    for axes in panels:
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(lambda x, _: f"{x:,.4g}" if x < 1000 else f"{x:,.0f}")
        axes.tick_params(labelleft=True)
    places = sorted({run.machine for run in runs})
    lengths = ", ".join(f"{s:g} s" for s in sorted({_length(run) for run in runs}))
    where = places[0] if len(places) == 1 else "several machines, named at the lines"
    sheet_.suptitle(f"float32, clips of {lengths}, median and 5 to 95 % of the repeats; {where}", fontsize=9)
    footnote(sheet_, marks.line(map(marks.of_run, runs)))
    return sheet_


def arranged(runs: Sequence[Kept], side: str) -> list[Line]:
    """A line for each run in which that side was timed; a run looks the same in every panel."""
    lines: list[Line] = []
    for style, (run, name) in enumerate(zip(runs, names(runs), strict=True)):
        found = [m for m in table.plain(table.read(run.where), side) if m.point.seconds == _length(run)]
        found.sort(key=lambda m: m.point.batch)
        if found:
            slow, fast = [m.point.audio / m.p95 for m in found], [m.point.audio / m.p5 for m in found]
            batches, speeds = [m.point.batch for m in found], [m.rtfx for m in found]
            name = marks.marked(name, marks.of_run(run))
            lines.append(Line(name, batches, speeds, style, slow, fast, quiet=run.tokenizer["weights"] == "none"))
    return lines


def _length(run: Kept) -> float:
    return parse(run.identity["sweep"]).usual
