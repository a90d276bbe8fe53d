"""Numbers -> cells, tables of cells -> a terminal, Markdown or LaTeX. A name is never markup: every writer escapes what it is given."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.api import Metric
from bench.statistics.bootstrap import Estimate, Summary

ARROWS = {"higher": "↑", "lower": "↓", "zero": "→0", "": ""}

Grid = tuple[str, list[str], list[list[str]]]
"""A caption, the header cells and the lines of one table. A line without cells is a rule between groups of lines."""


class Strong(str):
    """A cell that is set in bold."""


class Second(str):
    """A cell that is underlined."""


def cell(summary: Summary | None, metric: Metric) -> str:
    """`mean [low, high]`, and `-k` where k clips have no score; an interval that rounds to nothing is left out."""
    if summary is None:
        return ""
    if math.isnan(summary.mean):
        return "–"
    low, mean, high = _rounded(metric, summary.mean, (summary.low, summary.mean, summary.high))
    interval = "" if math.isnan(summary.low) or low == high else f" [{low}, {high}]"
    return mean + interval + (f" -{summary.n_missing}" if summary.n_missing else "")


def change(estimate: Estimate, metric: Metric) -> str:
    """`+difference [low, high]`."""
    if math.isnan(estimate.value):
        return "–"
    low, value, high = _rounded(metric, estimate.value, (estimate.low, estimate.value, estimate.high), "+")
    return value + ("" if math.isnan(estimate.low) or low == high else f" [{low}, {high}]")


def digits_of(metric: Metric, value: float) -> int:
    """Decimals that a value of the metric is printed with, in its shown unit: as many as its tolerance has there."""
    tolerance = round(metric.tolerance * metric.scale, 12)
    return min(3, max(0, math.ceil(-math.log10(tolerance)))) if abs(value * metric.scale) < 1000 else 0


def _rounded(metric: Metric, value: float, values: Sequence[float], sign: str = "") -> list[str]:
    """The values in the metric's shown unit, all with the decimals of `value`."""
    digits = digits_of(metric, value)
    return [f"{round(v * metric.scale, digits) + 0:{sign}.{digits}f}" for v in values]  # + 0: never -0.0


def probability(p: float) -> str:
    """A p-value; "–" where there is none."""
    return "–" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def title(metric: Metric, unit: str = "") -> str:
    """A metric's name with its good direction, and its unit where there is room for it, or where it is per cent."""
    unit = metric.shown_unit if unit or metric.shown_unit == "%" else ""
    return " ".join(filter(None, (metric.name, f"({unit})" if unit else "", ARROWS[metric.better])))


def few(names: Sequence[str]) -> str:
    """Up to five names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def fitted(grid: Grid, width: int) -> list[Grid]:
    """A table too wide for `width` as several, each with the first column."""
    caption, header, lines = grid
    gap = 3
    sizes = [max(len(line[i]) for line in (header, *lines) if line) + gap for i in range(len(header))]
    groups: list[list[int]] = []
    for i in range(1, len(header)):
        if not groups or sizes[0] + sum(sizes[k] for k in groups[-1]) + sizes[i] > width:
            groups.append([])
        groups[-1].append(i)
    blocks = [(0, *group) for group in groups]
    return [(caption, [header[k] for k in block], [[line[k] for k in block] if line else [] for line in lines]) for block in blocks]


def to_terminal(grids: Sequence[Grid], notes: Sequence[str], console: Console, left: int = 1) -> None:
    """Prints tables, the first `left` columns of each flush left, and what stands below them."""
    for caption, header, lines in grids:
        table = Table(title=caption, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
        for i, name in enumerate(header):
            justify = "left" if i < left else "right"
            table.add_column(Text(name), justify=justify, overflow="fold", no_wrap=i == 0)  # the name of a line is never cut
        for line in lines:
            if line:
                table.add_row(*(Text(text, _style(text)) for text in line))  # Text: a name is never markup
            else:
                table.add_section()
        console.print(table)
    for note in notes:
        console.print(Text(note))


WIDEST, GAP = 24, 2  # of a column of prose before it is wrapped, and between columns


def listing(header: Sequence[str], lines: Sequence[Sequence[str]], console: Console) -> None:
    """Prints a list. Its names are never cut: columns that do not fit beside them are left out, the last first, and counted."""
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    needed = [widths[0], *(min(width, WIDEST) for width in widths[1:])]
    shown = max(1, sum(sum(needed[: n + 1]) + GAP * (n + 1) <= console.width for n in range(len(header))))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(Text(header[0]), min_width=widths[0], no_wrap=True)
    for name in header[1:shown]:
        table.add_column(Text(name), overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line[:shown]))
    console.print(table, crop=False)
    if shown < len(header):
        console.print(Text(f"left out in {console.width} columns: {', '.join(header[shown:])} (a wider terminal, or --json, has them)"))


def _style(text: str) -> str:
    return "bold" if isinstance(text, Strong) else "underline" if isinstance(text, Second) else ""


def to_markdown(grids: Sequence[Grid], notes: Sequence[str], out: TextIO, left: int = 1) -> None:
    """The same tables for a README or a pull request."""
    for caption, header, lines in grids:
        rule = ["---"] * left + ["---:"] * (len(header) - left)
        body = [" | ".join(["", *map(_markdown, line), ""]).strip() for line in (header, *lines) if line]
        body.insert(1, " | ".join(["", *rule, ""]).strip())
        out.write(f"**{_markdown(caption)}**\n\n" + "\n".join(body) + "\n\n")
    out.write("".join(f"- {_markdown(note)}\n" for note in notes))


def _markdown(text: str) -> str:
    escaped = re.sub(r"([\\`*|])", r"\\\1", html.escape(text, quote=False))
    return f"**{escaped}**" if isinstance(text, Strong) and text else f"<u>{escaped}</u>" if isinstance(text, Second) and text else escaped
