"""One table over several suites: a line a tokenizer, what it costs first, then the columns that stand for each suite.

The best of a column is bold and the second underlined, by the means that are shown; facts of a tokenizer's design and reference
conditions take no part in that. Reference conditions are apart, at the foot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.api import DOMAINS, Metric, UserError
from bench.records.reader import Kept, natural
from bench.report import marks, tidy
from bench.report.comparability import evaluators
from bench.report.formats import Grid, Second, Strong, cell, title
from bench.statistics.bootstrap import Summary, summarise
from bench.statistics.paired import goodness, harm


@dataclass(frozen=True)
class Overview:
    """Runs of one or more suites; those of one suite were made alike, with one run a tokenizer."""

    runs: tuple[Kept, ...]
    columns: tuple[Metric, ...]

    @cached_property
    def labels(self) -> list[str]:
        """Tokenizers in their natural order, reference conditions last."""
        references = {run.label: run.reference for run in self.runs}
        return sorted(references, key=lambda label: (references[label], natural(label)))

    @cached_property
    def summaries(self) -> dict[tuple[str, str, str], Summary]:
        """(label, domain, metric) -> its summary, of the first suite that has it."""
        found: dict[tuple[str, str, str], Summary] = {}
        for run in self.runs:
            wanted = [run.metrics[m.name] for m in self.columns if m.name in run.metrics]
            for s in summarise(run.rows, wanted):
                found.setdefault((run.label, s.domain, s.metric), s)
        return found

    @cached_property
    def shown(self) -> dict[str, str]:
        """Label -> what it is called in a table."""
        return {run.label: marks.marked(run.label, marks.of_run(run)) + ("" if run.trained else " (untrained)") for run in self.runs}


def overview(runs: Sequence[Kept], columns: Sequence[str] = (), metrics: str = "overview") -> Overview:
    """Of the columns named, in their order; none named: those that stand for each suite, or its `headline`. UserError for others."""
    known: dict[str, Metric] = {}
    for run in runs:
        known |= {name: metric for name, metric in run.metrics.items() if name not in known}
    for name in columns:
        if name not in known:
            raise UserError(f"these runs have no metric {name!r}: bench list metrics names them")
    if columns:
        return Overview(tuple(runs), tuple(known[name] for name in columns))
    names = [name for run in runs for name in (run.overview or run.headline if metrics == "overview" else run.headline)]
    chosen = [known[name] for name in dict.fromkeys(names)]
    return Overview(tuple(runs), tuple(sorted(chosen, key=lambda m: not m.fixed)))


def grids(table: Overview, domains: Sequence[str] = DOMAINS, intervals: bool = False) -> list[Grid]:
    """A table for each domain that has any figure; a column that is empty in it is left out."""
    return [_grid(table, domain, intervals) for domain in domains if any(key[1] == domain for key in table.summaries)]


def _grid(table: Overview, domain: str, intervals: bool) -> Grid:
    columns = [m for m in table.columns if any((label, domain, m.name) in table.summaries for label in table.labels)]
    references = {run.label for run in table.runs if run.reference}
    cells = [_column(table, domain, m, references, intervals) for m in columns]
    labels = [label for label in table.labels if any(column[label] for column in cells)]
    lines = [[table.shown[label], *(column[label] for column in cells)] for label in labels]
    first = next((i for i, label in enumerate(labels) if label in references), 0)
    return domain, ["tokenizer", *map(title, columns)], [*lines[:first], *([[]] if first else []), *lines[first:]]


def _column(table: Overview, domain: str, metric: Metric, references: set[str], intervals: bool) -> dict[str, str]:
    """Label -> cell."""
    found = {label: table.summaries.get((label, domain, metric.name)) for label in table.labels}
    texts = {label: _text(summary, metric, intervals) for label, summary in found.items()}
    ranked = {label: s.mean for label, s in found.items() if s and label not in references and not math.isnan(s.mean)}
    if metric.fixed or not harm(metric) or len(ranked) < 2:
        return texts
    goods = {label: goodness(metric, abs(mean) if metric.better == "zero" else mean) for label, mean in ranked.items()}
    order = list(dict.fromkeys(_text(found[label], metric, False) for label in sorted(goods, key=lambda label: -goods[label])))
    sorts = dict(zip(order, (Strong, Second), strict=False))  # what is printed alike ranks alike
    return {label: sorts.get(_text(found[label], metric, False), str)(text) if label in goods else text for label, text in texts.items()}


def _text(summary: Summary | None, metric: Metric, intervals: bool) -> str:
    if summary is None or intervals:
        return cell(summary, metric)
    return cell(Summary(summary.domain, summary.metric, summary.mean, math.nan, math.nan, summary.n, 0), metric)


def records(table: Overview, domains: Sequence[str] = DOMAINS) -> list[tidy.Record]:
    """Every figure of the table with all its digits, in the one shape of all files."""
    runs = {run.label: {} for run in table.runs}
    for run in table.runs:
        for name in run.metrics:
            runs[run.label].setdefault(name, run)
    return [
        tidy.head_of(run) | tidy.place(run.metrics[m.name], d) | tidy.numbers(table.summaries[label, d, m.name]) | {"run": run.key}
        for label in table.labels
        for d in domains
        for m in table.columns
        if (label, d, m.name) in table.summaries and (run := runs[label][m.name])
    ]


def notes(table: Overview) -> list[str]:
    """How to read the table: what each suite ran on, and what was not the same."""
    out = []
    shown = {m.name for m in table.columns}
    for run in {run.suite: run for run in reversed(table.runs) if shown & run.metrics.keys()}.values():
        out.insert(
            0,
            f"{run.suite} v{run.identity['version']} on {run.record['data_name']} ({run.record['clips']} clips, "
            f"sha256 {run.identity['data'][:8]})" + "".join(f", {name}" for name in evaluators(run)),
        )
    out.append("means; the best of a column is bold, the second underlined; reference conditions, and what a design decides, take no part")
    out += marks.line(map(marks.of_run, table.runs))
    out += [f"timed on {place}" for place in sorted({run.machine for run in table.runs} - {""})]
    return out
