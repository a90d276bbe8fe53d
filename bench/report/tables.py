"""Runs -> tables: for people (terminal, Markdown) with rounded numbers, for machines (CSV) with plain ones."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TextIO

from rich.console import Console

from bench.api import DOMAINS, Metric, UserError
from bench.engine.run import Run
from bench.report import formats, marks, sweeps
from bench.report.formats import Grid, cell, few, title
from bench.statistics.bootstrap import Summary, reasons, remarks, scarce


def label(run: Run) -> str:
    """The tokenizer's name in a table: random weights are called what they are, models of this project's own have a sign."""
    spec = run.variant.spec
    return marks.marked(spec.label, spec.trained_here) + ("" if spec.trained else " (untrained)")


def grids(runs: Sequence[Run], width: int, columns: Sequence[str] = ()) -> list[Grid]:
    """One tokenizer: one line per metric, one column per domain. Several: one line each, one table per domain and as many metrics as fit.

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
        cells = [
            [title(m), *(cell(table.get((d, m.name)), m) for table in found)]
            for m in metrics
            if any((d, m.name) in table for table in found)
        ]
        for block in _blocks(names, cells, width):
            header, *lines = map(list, zip(names, *block, strict=True))
            out.append((captions[d], header, lines))
    return out


def codebook_grids(runs: Sequence[Run], width: int, columns: Sequence[str] = ()) -> list[Grid]:
    """One line per codebook, in order, of every tokenizer that has several; one table per domain and as many metrics as fit."""
    out: list[Grid] = []
    metrics = [m for m in runs[0].suite.metrics if m.per == "codebook" and (not columns or m.name in columns)]
    for d in DOMAINS:
        books = {
            f"{label(run)} cb{k}": values
            for run in runs
            for k, values in by_codebook(run, d).items()
            if len(run.variant.spec.codebooks) > 1
        }
        shown = [m for m in metrics if any(m.name in values for values in books.values())]
        cells = [[title(m), *(cell(_alone(values.get(m.name), m), m) for values in books.values())] for m in shown]
        for block in _blocks(names := ["codebook", *books], cells, width):
            header, *lines = map(list, zip(names, *block, strict=True))
            out.append((f"{d}, by codebook", header, lines))
    return out


def by_codebook(run: Run, domain: str) -> dict[int, dict[str, float]]:
    """Codebook, counted from 1 -> its values by metric; those that have none are left out."""
    found = {row.metric: row.value for row in run.rows if row.clip == "*" and row.domain == domain}
    metrics = [m for m in run.suite.metrics if m.per == "codebook"]
    books = {
        k + 1: {m.name: found[m.of_codebook(k)] for m in metrics if m.of_codebook(k) in found} for k in range(len(run.variant.spec.tables))
    }
    return {k: values for k, values in books.items() if values}


def _alone(value: float | None, metric: Metric) -> Summary | None:
    return None if value is None else Summary("", metric.name, value, math.nan, math.nan, 1, 0)


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
        "mean [95 % interval over speakers]; -k: k clips have no score"
    ]
    lines += marks.line(run.variant.spec.trained_here for run in runs)
    lines += scarce(run.summaries)
    if run.machine:
        lines.append(f"timed on {run.machine}: compare speeds within one machine only")
    for run in runs:
        if run.same_codes is not None:
            lines.append(f"{label(run)}: {100 * run.same_codes:.2f} % of codes identical to float32")
        for metrics, note, clips in reasons(run.rows)[:5]:
            lines.append(f"{label(run)}: {clips} clip{'s' * (clips > 1)} without {few(metrics.split(', '))}: {note}")
        for metrics, domains, note in remarks(run.rows, run.suite.metrics):
            lines.append(f"{label(run)}: {few(metrics)} of {', '.join(domains)}: {note}")
    return lines


def to_terminal(runs: Sequence[Run], console: Console, columns: Sequence[str] = ()) -> None:
    """Prints the tables and their notes."""
    formats.to_terminal(all_grids(runs, console.width, columns), notes(runs), console)


def to_markdown(runs: Sequence[Run], out: TextIO, columns: Sequence[str] = ()) -> None:
    """The same tables for a README or a pull request."""
    formats.to_markdown(all_grids(runs, 160, columns), notes(runs), out)


def all_grids(runs: Sequence[Run], width: int, columns: Sequence[str] = ()) -> list[Grid]:
    """The tables of the corpus, then those of the codebooks, then the points of a sweep."""
    swept = sweeps.grid([(label(run), run.folder) for run in runs])
    return grids(runs, width, columns) + codebook_grids(runs, width, columns) + ([] if columns else swept)


def to_csv(runs: Sequence[Run], out: TextIO) -> None:
    """One line for each tokenizer, domain and metric, all digits."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        (
            *("tokenizer", "trained", "suite", "version", "data", "domain", "metric", "unit", "better", "mean", "low", "high"),
            *("n", "n_missing", "speakers"),
        )
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
            writer.writerow((*head, s.domain, s.metric, m.unit, m.better, s.mean, s.low, s.high, s.n, s.n_missing, s.speakers or ""))


def codebooks_to_csv(run: Run, out: TextIO) -> None:
    """One line for each domain and codebook, the size first, all digits."""
    metrics = [m.name for m in run.suite.metrics if m.per == "codebook"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("domain", "codebook", "size", *metrics))
    for d in DOMAINS:
        for k, values in by_codebook(run, d).items():
            writer.writerow(
                (
                    d,
                    k,
                    run.variant.spec.codebooks[run.variant.spec.tables[k - 1][0]].size,
                    *(values.get(name, math.nan) for name in metrics),
                )
            )


def save(run: Run) -> None:
    """summary.csv beside the rows that it sums up, and codebooks.csv where the suite looks at each."""
    files: dict[str, Callable[[TextIO], None]] = {"summary.csv": partial(to_csv, [run])}
    if any(metric.per == "codebook" for metric in run.suite.metrics):
        files["codebooks.csv"] = partial(codebooks_to_csv, run)
    path = run.folder
    try:
        for name, write in files.items():
            path = run.folder / name
            with path.open("w", encoding="utf-8", newline="") as file:
                write(file)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: the rows are kept; correct it and repeat the command") from error
