"""One shape for every summary, wherever it is written: a line for each tokenizer, suite, domain and metric, as CSV, JSON or a DataFrame.

Values are plain numbers in the metric's own unit with all their digits. A value that is missing or does not apply is an empty cell, in
JSON null.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from bench.api import Metric
from bench.records.reader import Kept
from bench.report import marks
from bench.statistics.bootstrap import Summary, summarise

HEAD = ("tokenizer", "trained", "trained_here_hours", "suite", "version", "data")
PLACE = ("domain", "metric", "unit", "better")
NUMBERS = ("mean", "low", "high", "n", "n_missing", "speakers")
COLUMNS = (*HEAD, *PLACE, *NUMBERS, "run")
Record = dict[str, str | int | float | None]


def of_kept(run: Kept) -> list[Record]:
    """The lines of a stored run."""
    return lines(head_of(run), run.metrics, summarise(run.rows, run.metrics.values()), run.key)


def head_of(run: Kept) -> Record:
    """What all lines of a stored run have in common."""
    here = marks.of_run(run)
    data = f"{run.record['data_name']}:{run.identity['data'][:8]}"
    facts = (run.label, int(run.trained), here.hours if here else None, run.suite, run.identity["version"], data)
    return head(facts)


def head(facts: Sequence[str | int | float | None]) -> Record:
    """The values of HEAD as the beginning of a line."""
    return dict(zip(HEAD, facts, strict=True))


def lines(start: Record, metrics: Mapping[str, Metric], summaries: Iterable[Summary], key: str) -> list[Record]:
    """A line for each summary."""
    return [start | place(metrics[s.metric], s.domain) | numbers(s) | {"run": key} for s in summaries]


def place(metric: Metric, domain: str) -> Record:
    """What a line is about."""
    return {"domain": domain, "metric": metric.name, "unit": metric.unit, "better": metric.better}


def numbers(summary: Summary) -> Record:
    """The figures of a line."""
    return {name: getattr(summary, name) for name in NUMBERS} | {"speakers": summary.speakers or None}


def plain(record: Mapping[str, str | int | float | None]) -> Record:
    """A line without NaN and infinity: None stands for what is missing."""
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in record.items()}


def to_csv(records: Iterable[Record], out: TextIO, columns: Sequence[str] = COLUMNS) -> None:
    """Lines -> CSV; what is missing is an empty cell."""
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(plain, records))


def to_json(records: Iterable[Record], notes: Sequence[str], out: TextIO) -> None:
    """The same lines, and the notes, as one JSON object."""
    json.dump({"lines": list(map(plain, records)), "notes": list(notes)}, out, indent=1, ensure_ascii=False, allow_nan=False)
    out.write("\n")
