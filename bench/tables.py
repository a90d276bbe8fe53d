"""Runs -> tables: for people (terminal, Markdown) with rounded numbers, for machines (CSV) with plain ones."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.api import DOMAINS, Metric, UserError
from bench.run import Run
from bench.stats import Summary, reasons

ARROWS = {"higher": "↑", "lower": "↓", "zero": "→0", "": ""}


def label(run: Run) -> str:
    """The tokenizer's name in a table; random weights are called what they are."""
    return run.variant.spec.label + ("" if run.variant.spec.trained else " (untrained)")


def cell(summary: Summary | None, metric: Metric) -> str:
    """`mean [low, high]`, and `-k` where k clips have no score; an interval that rounds to nothing is left out."""
    if summary is None:
        return ""
    if math.isnan(summary.mean):
        return "–"
    digits = min(3, max(0, math.ceil(-math.log10(metric.tolerance)))) if abs(summary.mean) < 1000 else 0
    low, mean, high = (f"{value:.{digits}f}" for value in (summary.low, summary.mean, summary.high))
    interval = "" if math.isnan(summary.low) or low == high else f" [{low}, {high}]"
    return mean + interval + (f" -{summary.n_missing}" if summary.n_missing else "")


Grid = tuple[str, list[str], list[list[str]]]
"""A caption, the header cells and the lines of one table."""


def grids(runs: Sequence[Run], width: int, columns: Sequence[str] = ()) -> list[Grid]:
    """One tokenizer: a line a metric, a column a domain. Several: a line a tokenizer, a table a domain and as many metrics as fit.

    `columns`: the metrics to show, in their order; none named: all.
    """
    found = [{(s.domain, s.metric): s for s in run.summaries} for run in runs]
    domains = [d for d in DOMAINS if any(key[0] == d for table in found for key in table)]
    known = {m.name: m for m in runs[0].suite.metrics}
    metrics = [known[name] for name in columns or known if any(key[1] == name for table in found for key in table)]
    captions = {d: f"{d} (n = {sum(clip.domain == d for clip in runs[0].data.clips)})" for d in domains}
    if len(runs) == 1:
        lines = [[title(m, m.unit), *(cell(found[0].get((d, m.name)), m) for d in domains)] for m in metrics]
        return [(label(runs[0]), ["metric", *captions.values()], lines)]
    names = ["tokenizer", *map(label, runs)]
    out = []
    for d in domains:
        cells = [[title(m), *(cell(table.get((d, m.name)), m) for table in found)] for m in metrics if d in m.rates]
        for block in _blocks(names, cells, width):
            header, *lines = map(list, zip(names, *block, strict=True))
            out.append((captions[d], header, lines))
    return out


def title(metric: Metric, unit: str = "") -> str:
    """A metric's name with its good direction, and its unit where there is room for it."""
    return " ".join(filter(None, (metric.name, f"({unit})" if unit else "", ARROWS[metric.better])))


def _blocks(first: list[str], columns: list[list[str]], width: int) -> Iterator[list[list[str]]]:
    """Columns in groups that fit beside the first one."""
    gap = 3
    block: list[list[str]] = []
    used = start = max(map(len, first)) + gap
    for column in columns:
        needed = max(map(len, column)) + gap
        if block and used + needed > width:
            yield block
            block, used = [], start
        block.append(column)
        used += needed
    if block:
        yield block


def notes(runs: Sequence[Run]) -> list[str]:
    """What stands below the tables: how to read them, and why scores are missing."""
    run = runs[0]
    lines = [
        f"{run.suite.name} v{run.suite.version} on {run.data.name} ({len(run.data.clips)} clips, sha256 {run.data.sha256[:8]}): "
        "mean [95 % interval, bootstrap over speakers]; -k: k clips have no score"
    ]
    for run in runs:
        for metrics, note, clips in reasons(run.rows)[:5]:
            named = metrics if metrics.count(",") < 4 else "all metrics"
            lines.append(f"{label(run)}: {clips} clip{'s' * (clips > 1)} without {named}: {note}")
    return lines


def to_terminal(runs: Sequence[Run], console: Console, columns: Sequence[str] = ()) -> None:
    """Prints the tables and their notes."""
    for caption, header, lines in grids(runs, console.width, columns):
        table = Table(title=caption, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
        for i, name in enumerate(header):
            table.add_column(Text(name), justify="left" if i == 0 else "right", no_wrap=True)
        for line in lines:
            table.add_row(*map(Text, line))  # Text: a name is never markup
        console.print(table)
    for line in notes(runs):
        console.print(Text(line))


def to_markdown(runs: Sequence[Run], out: TextIO, columns: Sequence[str] = ()) -> None:
    """The same tables for a README or a pull request."""
    for caption, header, lines in grids(runs, 160, columns):
        rule = ["---"] + ["---:"] * (len(header) - 1)
        body = ["| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in (header, rule, *lines)]
        out.write(f"**{caption}**\n\n" + "\n".join(body) + "\n\n")
    out.write("\n".join(f"- {line}" for line in notes(runs)) + "\n")


def to_csv(runs: Sequence[Run], out: TextIO) -> None:
    """One line for each tokenizer, domain and metric, all digits."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("tokenizer", "trained", "suite", "version", "data", "domain", "metric", "unit", "better", "mean", "low", "high", "n", "n_missing")
    )
    for run in runs:
        facts = {metric.name: metric for metric in run.suite.metrics}
        head = (
            run.variant.spec.label,
            int(run.variant.spec.trained),
            run.suite.name,
            run.suite.version,
            f"{run.data.name}:{run.data.sha256[:8]}",
        )
        for s in run.summaries:
            m = facts[s.metric]
            writer.writerow((*head, s.domain, s.metric, m.unit, m.better, s.mean, s.low, s.high, s.n, s.n_missing))


def save(run: Run) -> None:
    """summary.csv beside the rows that it sums up."""
    path = run.folder / "summary.csv"
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            to_csv([run], file)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: the rows are kept, mend it and give the same command again") from error
