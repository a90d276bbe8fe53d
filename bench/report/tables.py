"""Runs -> tables: for people (terminal, Markdown) with rounded numbers, for machines (CSV) with plain ones."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TextIO

from rich.console import Console

from bench.api import DOMAINS, Metric, Suite, UserError
from bench.data.clips import domains as domains_of
from bench.records.finished import Run
from bench.report import formats, marks, tidy
from bench.report.formats import Grid, cell, few, fitted, title
from bench.statistics.bootstrap import Summary, remarks, scarce


def label(run: Run) -> str:
    """The tokenizer's name in a table: random weights are called what they are, models of this project's own have a sign."""
    spec = run.variant.spec
    return marks.marked(spec.label, spec.trained_here) + ("" if spec.trained else " (untrained)")


ALL = "all"  # in place of the names of columns


def columns_of(suite: Suite, columns: Sequence[str] = ()) -> list[Metric]:
    """The metrics that a table shows: those named, in their order; "all"; none named: the suite's headline. Unless named, what a
    tokenizer costs comes first."""
    known = {m.name: m for m in suite.metrics}
    if columns and ALL not in columns:
        return [known[name] for name in columns]
    first = [known[name] for name in suite.headline]
    chosen = [*first, *(m for m in suite.metrics if m not in first)] if ALL in columns or not first else first
    return sorted(chosen, key=lambda m: not m.fixed)


def grids(runs: Sequence[Run], width: int, columns: Sequence[str] = ()) -> list[Grid]:
    """One tokenizer: one line per metric, one column per domain. Several: one line each, one table per domain and as many metrics as fit;
    reference conditions stand apart at the foot. `columns`: see `columns_of`."""
    runs = sorted(runs, key=lambda run: run.variant.spec.reference)
    found = [{(s.domain, s.metric): s for s in run.summaries} for run in runs]
    domains = [d for d in DOMAINS if any(key[0] == d for table in found for key in table)]
    metrics = [m for m in columns_of(runs[0].suite, columns) if columns and ALL not in columns or _any(found, m)]
    counts = domains_of(runs[0].data.clips)
    captions = {d: f"{d} (n = {counts[d]})" for d in domains}
    if len(runs) == 1:
        lines = [[title(m, m.unit), *(cell(found[0].get((d, m.name)), m) for d in domains)] for m in metrics]
        return [(label(runs[0]), ["metric", *captions.values()], lines)]
    names = ["tokenizer", *map(label, runs)]
    first = next((i for i, run in enumerate(runs) if run.variant.spec.reference), 0)
    out = []
    for d in domains:
        cells = [
            [title(m), *(cell(table.get((d, m.name)), m) for table in found)]
            for m in metrics
            if any((d, m.name) in table for table in found)
        ]
        header, *lines = map(list, zip(names, *cells, strict=True))
        out += fitted((captions[d], header, [*lines[:first], *([[]] if first else []), *lines[first:]]), width)
    return out


def _any(found: Sequence[Mapping[tuple[str, str], Summary]], metric: Metric) -> bool:
    return any(name == metric.name for table in found for _, name in table)


def hidden(runs: Sequence[Run], columns: Sequence[str]) -> list[str]:
    """The line that says how many more columns there are; none where all are shown, or where the user named some."""
    found = [{(s.domain, s.metric): s for s in run.summaries} for run in runs]
    more = [m.name for m in runs[0].suite.metrics if _any(found, m) and m not in columns_of(runs[0].suite, columns)]
    if columns or not more:
        return []
    return [f"{len(more)} more column{'s' * (len(more) > 1)}: --columns all, or summary.csv beside the rows"]


def codebook_grids(runs: Sequence[Run], width: int, columns: Sequence[str] = ()) -> list[Grid]:
    """One line per codebook, in order, of every tokenizer that has several; one table per domain and as many metrics as fit."""
    out: list[Grid] = []
    metrics = [m for m in columns_of(runs[0].suite, columns) if m.per == "codebook"]
    for d in DOMAINS:
        books = {
            f"{label(run)} cb{k}": values
            for run in runs
            for k, values in by_codebook(run, d).items()
            if len(run.variant.spec.codebooks) > 1
        }
        shown = [m for m in metrics if any(m.name in values for values in books.values())]
        cells = [[title(m), *(cell(_alone(values.get(m.name), m), m) for values in books.values())] for m in shown]
        header, *lines = map(list, zip(["codebook", *books], *cells, strict=True))
        out += fitted((f"{d}, by codebook", header, lines), width)
    return out


def by_codebook(run: Run, domain: str) -> dict[int, dict[str, float]]:
    """Codebook, counted from 1 -> its values by metric; those that have none are left out."""
    found = {row.metric: row.value for row in run.digest.pooled if row.domain == domain}
    metrics = [m for m in run.suite.metrics if m.per == "codebook"]
    books = {
        k + 1: {m.name: found[m.of_codebook(k)] for m in metrics if m.of_codebook(k) in found} for k in range(len(run.variant.spec.tables))
    }
    return {k: values for k, values in books.items() if values}


def _alone(value: float | None, metric: Metric) -> Summary | None:
    return None if value is None else Summary("", metric.name, value, math.nan, math.nan, 1, 0)


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
        for metrics, note, clips in run.digest.missing[:5]:
            lines.append(f"{label(run)}: {clips} clip{'s' * (clips > 1)} without {few(metrics.split(', '))}: {note}")
        for metrics, domains, note in remarks(run.digest.pooled, run.suite.metrics):
            lines.append(f"{label(run)}: {few(metrics)} of {', '.join(domains)}: {note}")
    return lines


def to_terminal(runs: Sequence[Run], console: Console, columns: Sequence[str] = ()) -> None:
    """Prints the tables and their notes."""
    formats.to_terminal(all_grids(runs, console.width, columns), [*notes(runs), *hidden(runs, columns)], console)


def to_markdown(runs: Sequence[Run], out: TextIO, columns: Sequence[str] = ()) -> None:
    """The same tables for a README or a pull request."""
    formats.to_markdown(all_grids(runs, 160, columns), [*notes(runs), *hidden(runs, columns)], out)


def all_grids(runs: Sequence[Run], width: int, columns: Sequence[str] = ()) -> list[Grid]:
    """The tables of the corpus, then those of the codebooks, then the points of a sweep."""
    swept = _swept(runs) if runs[0].machine and (not columns or ALL in columns) else []
    return grids(runs, width, columns) + codebook_grids(runs, width, columns) + swept


def _swept(runs: Sequence[Run]) -> list[Grid]:
    from bench.report import sweeps  # here: it needs torch, and the tables of other suites do not

    return sweeps.grid([(label(run), run.folder) for run in runs])


def lines(run: Run) -> list[tidy.Record]:
    """Its summaries in the one shape of all files."""
    spec, data = run.variant.spec, f"{run.data.name}:{run.data.sha256[:8]}"
    hours = spec.trained_here.hours if spec.trained_here else None
    head = tidy.head((spec.label, int(spec.trained), hours, run.suite.name, run.suite.version, data))
    return tidy.lines(head, {m.name: m for m in run.suite.metrics}, run.summaries, run.folder.name[-8:])


def to_csv(runs: Sequence[Run], out: TextIO) -> None:
    """One line for each tokenizer, domain and metric, all digits."""
    tidy.to_csv((line for run in runs for line in lines(run)), out)


def to_json(runs: Sequence[Run], out: TextIO) -> None:
    """The same lines, and the notes below the tables."""
    suites = {run.suite.name: [other for other in runs if other.suite.name == run.suite.name] for run in runs}
    below = [line for group in suites.values() for line in notes(group)]
    tidy.to_json((line for run in runs for line in lines(run)), below, out)


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
                    *("" if math.isnan(values.get(name, math.nan)) else values[name] for name in metrics),
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
