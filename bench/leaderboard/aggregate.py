"""Runs stored in results/boards/<suite>/<label>-<key8>/ -> boards: the comparable runs of one suite."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.api import DOMAINS, Metric, UserError
from bench.leaderboard.schema import refuse_misshapen
from bench.records import reader
from bench.records.reader import Kept
from bench.records.writer import SEAL, folder_name, key_of
from bench.statistics.bootstrap import Summary, summarise

RESULTS = Path("results") / "boards"
FIRST = "reconstruction"  # what bench run does unless told otherwise comes first
AGAIN = "make the run again with bench run --fresh"


@dataclass(frozen=True)
class Entry:
    """A line of a board: one run of one tokenizer variant, every figure computed from its rows."""

    run: Kept

    @property
    def label(self) -> str:
        return self.run.label

    @property
    def commit(self) -> str:
        """Of the code that made the run; "" where it ran from an installed package."""
        return self.run.record.get("commit", "")

    @property
    def kbps(self) -> float:
        """Nominal kbit/s of the spec, without what is sent once an utterance; NaN where the rate varies."""
        return self.run.bitrate / 1000

    @cached_property
    def summaries(self) -> Mapping[tuple[str, str], Summary]:
        """(domain, metric) -> mean with its interval, n and n_missing."""
        return {(s.domain, s.metric): s for s in summarise(self.run.rows, self.run.metrics.values())}

    @cached_property
    def reasons(self) -> Mapping[tuple[str, str], str]:
        """(domain, metric) -> why a score is missing, of the first clip without one."""
        return {(row.domain, row.metric): row.note for row in reversed(self.run.rows) if math.isnan(row.value)}


@dataclass(frozen=True)
class Board:
    """The runs of one suite, of one fingerprint, sorted by label."""

    entries: tuple[Entry, ...]

    @property
    def first(self) -> Kept:
        return self.entries[0].run

    @property
    def suite(self) -> str:
        return self.first.suite

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return self.first.metrics

    @property
    def fingerprint(self) -> str:
        """Sixteen digits that stand for suite version, data, seed, resampler and judge together."""
        return key_of(self.first.fingerprint)[:16]

    @property
    def about(self) -> Mapping[str, str]:
        """Metric -> what it is."""
        return {fact["name"]: fact.get("about", "") for fact in self.first.record["metrics"]}

    @property
    def headline(self) -> Sequence[str]:
        """The columns that are shown first."""
        return self.first.headline

    @property
    def overview(self) -> Sequence[str]:
        """The columns that stand for the suite beside other suites; the first ones where it names none."""
        return self.first.overview or self.headline

    @cached_property
    def domains(self) -> Sequence[str]:
        return [d for d in DOMAINS if any(domain == d for entry in self.entries for domain, _ in entry.summaries)]

    def columns(self, domain: str) -> list[Metric]:
        """The metrics that any entry has in the domain, in the suite's order."""
        return [m for m in self.metrics.values() if any((domain, m.name) in entry.summaries for entry in self.entries)]

    def clips(self, domain: str) -> int:
        return len({row.clip for row in self.first.rows if row.domain == domain and row.clip != "*"})

    def speakers(self, domain: str) -> int:
        return len({row.speaker for row in self.first.rows if row.domain == domain and row.speaker})


def fold(results: Path) -> list[Board]:
    """Every board that the runs below `results` make, by suite. UserError for a run that has no place on one."""
    folders = reader.folders(results)
    reader.refuse_twins(folders)
    runs = []
    for folder in folders:
        run = reader.read(folder)
        refuse(run)
        if (folder.parent.name, folder.name) != (run.suite, f"{folder_name(run.label)}-{run.key}"):
            raise UserError(f"{folder}: holds {run.label} of {run.suite}, key {run.key}: give the folder the name that bench run gave it")
        runs.append(run)
    found = boards(runs)
    for board in found:
        for entry in board.entries[1:]:
            refuse_gaps(board.first, entry.run)
    return found


def boards(runs: Iterable[Kept]) -> list[Board]:
    """Runs, at most one of a tokenizer in a suite -> a board for each suite, by suite and label. UserError where those of one suite
    cannot be compared."""
    suites: dict[str, list[Kept]] = {}
    for run in runs:
        suites.setdefault(run.suite, []).append(run)
    for alike in suites.values():
        reader.refuse_unlike(alike)
    return [
        Board(tuple(map(Entry, sorted(alike, key=lambda run: reader.natural(run.label)))))
        for _, alike in sorted(suites.items(), key=_place)
    ]


def _place(item: tuple[str, object]) -> tuple[bool, str]:
    return item[0] != FIRST, item[0]


def refuse(run: Kept) -> None:
    """UserError for a run that is unfinished, untrained, or not as bench run left it."""
    refuse_misshapen(run.record, run.where)
    if not run.trained:
        raise UserError(f"{run.where}: {run.label} has untrained weights, which leaderboards do not accept: remove it")
    if run.unfinished:
        raise UserError(f"{run.where}: {run.unfinished} of {run.record['clips']} clips have not run yet: the same bench run resumes")
    if SEAL not in run.record:
        raise UserError(f"{run.where}: run.json states no {SEAL}: it is unfinished, or of an older version: {AGAIN}")
    if hashlib.sha256((run.where / "rows.csv").read_bytes()).hexdigest() != run.record[SEAL]:
        raise UserError(f"{run.where}: rows.csv is not what the run wrote (its sha256 differs from run.json's): {AGAIN}")


def refuse_gaps(a: Kept, b: Kept) -> None:
    """UserError where one of two runs of one fingerprint lacks rows of the other: a score that failed is a row, too."""
    for x, y in ((a, b), (b, a)):
        if lacking := sorted(_places(x) - _places(y)):
            clip, metric = lacking[0]
            raise UserError(f"{y.where}: lacks {len(lacking)} rows that {x.where} has, as {metric} of {clip}: {AGAIN}")


def _places(run: Kept) -> set[tuple[str, str]]:
    some = {name for name, metric in run.metrics.items() if metric.raw or metric.cut}  # columns of some tokenizers alone
    return {(row.clip, row.metric) for row in run.rows if row.clip != "*" and row.metric not in some}
