"""The table over suites: a line for each tokenizer, by measured bitrate, reference conditions apart at the foot.

Marks are of equals: tokenizers are compared with those of their own band of bitrates, a factor of two wide, by the tests of `bench compare`
(paired over clips, Holm's correction over the band's table); below 0.5 and above 16 kbit/s all are one band. Where a codec may spend ten
times the bits of another, a best of all would only say which one spends most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from bench.compare.lines import compare
from bench.leaderboard import credit
from bench.leaderboard.aggregate import Board, Entry
from bench.leaderboard.cells import Cell, cell, is_blank
from bench.leaderboard.columns import Column, over
from bench.records.reader import Kept, natural
from bench.report import marks

LOWEST, HIGHEST = 0.5, 16.0  # kbit/s: what is below and above is one band each
Kind = str
KINDS: dict[Kind, str] = {  # what its weights are
    "published": "published weights",
    "here": "weights trained by this project (†)",
    "plain": "no trained weights",
}


@dataclass(frozen=True)
class Tokenizer:
    """A line of the table, but for its scores."""

    label: str
    shown: str
    kind: Kind
    family: str  # shared by the rates of one codec with the same weights
    reference: bool
    causal: bool
    licence: str
    kbps: float  # measured where a suite measures it
    entries: Mapping[str, Entry]  # suite -> its run there

    @property
    def run(self) -> Kept:
        """One of its runs."""
        return next(iter(self.entries.values())).run

    @property
    def band(self) -> float:
        """The power of two that its bitrate is at least, 0 below the first band; infinite for a reference, NaN where it is unknown."""
        if self.reference:
            return math.inf
        if math.isnan(self.kbps):
            return math.nan
        return 0.0 if self.kbps < LOWEST else min(HIGHEST, 2.0 ** math.floor(math.log2(self.kbps)))


@dataclass(frozen=True)
class Band:
    """Tokenizers of about one bitrate."""

    title: str
    reference: bool
    tokenizers: tuple[Tokenizer, ...]


@dataclass(frozen=True)
class Table:
    """The table of one domain. `cells`: a list for each tokenizer, in the order of the columns."""

    domain: str
    columns: tuple[Column, ...]
    bands: tuple[Band, ...]
    cells: Mapping[str, Sequence[Cell]]

    @property
    def groups(self) -> list[tuple[str, list[Column]]]:
        """Neighbouring columns about the same thing."""
        return [(name, list(found)) for name, found in groupby(self.columns, key=lambda c: c.group)]


def tokenizers(boards: Sequence[Board]) -> list[Tokenizer]:
    """By bitrate, then by name; references last."""
    entries: dict[str, dict[str, Entry]] = {}
    for board in boards:
        for entry in board.entries:
            entries.setdefault(entry.label, {})[board.suite] = entry
    found = [_tokenizer(label, by_suite) for label, by_suite in entries.items()]
    return sorted(found, key=lambda t: (t.reference, math.inf if math.isnan(t.kbps) else t.kbps, natural(t.label)))


def _tokenizer(label: str, entries: Mapping[str, Entry]) -> Tokenizer:
    run = next(iter(entries.values())).run
    here = marks.of_run(run)
    facts = run.tokenizer
    return Tokenizer(
        label=label,
        shown=marks.marked(label, here),
        kind="here" if here else "plain" if facts["weights"] == "none" else "published",
        family=f"{facts['name']} {facts['sample_rate']} {facts['weights']}",
        reference=run.reference,
        causal=bool(facts.get("causal")),
        licence=credit.known(run)["licence"],
        kbps=_kbps(list(entries.values())),
        entries=entries,
    )


def _kbps(entries: Sequence[Entry]) -> float:
    """The measured rate of the first suite and domain that has one, else that of the spec."""
    measured = (s.mean for entry in entries for (_, name), s in entry.summaries.items() if name == "kbps_packed" and not math.isnan(s.mean))
    return next(measured, entries[0].kbps)


def bands(found: Sequence[Tokenizer]) -> list[Band]:
    """Sorted tokenizers in groups of one power of two."""
    groups: dict[object, list[Tokenizer]] = {}
    for tokenizer in found:
        key: object = "unknown" if math.isnan(tokenizer.band) else tokenizer.band
        groups.setdefault(key, []).append(tokenizer)
    return [Band(_title(group[0]), group[0].reference, tuple(group)) for group in groups.values()]


def _title(tokenizer: Tokenizer) -> str:
    if tokenizer.reference:
        return "Reference conditions"
    if math.isnan(tokenizer.band):
        return "Bitrate unknown"
    if not tokenizer.band:
        return f"Below {LOWEST:g} kbit/s"
    return f"{HIGHEST:g} kbit/s and more" if tokenizer.band == HIGHEST else f"{tokenizer.band:g} to {2 * tokenizer.band:g} kbit/s"


def tables(boards: Sequence[Board]) -> list[Table]:
    """A table for each domain that has any score."""
    found, columns = tokenizers(boards), over(boards)
    groups = bands(found)
    ranked = ranks(boards, columns, groups)
    domains = list(dict.fromkeys(domain for board in boards for domain in board.domains))
    return [_table(domain, over(boards, domain), groups, ranked) for domain in domains]


def _table(domain: str, columns: Sequence[Column], groups: Sequence[Band], ranked: Mapping[tuple[str, str, str], str]) -> Table:
    found = [t for group in groups for t in group.tokenizers]
    cells = {t.label: [_cell(t, domain, c, ranked.get((t.label, domain, c.id), "")) for c in columns] for t in found}
    shown = [i for i in range(len(columns)) if not is_blank([cells[t.label][i] for t in found])]
    there = {t.label for t in found if any(not cells[t.label][i].empty for i in shown if not columns[i].cost)}
    kept = [Band(g.title, g.reference, tuple(t for t in g.tokenizers if t.label in there)) for g in groups]
    return Table(
        domain,
        tuple(columns[i] for i in shown),
        tuple(band for band in kept if band.tokenizers),
        {label: [cells[label][i] for i in shown] for label in there},
    )


def _cell(tokenizer: Tokenizer, domain: str, column: Column, rank: str) -> Cell:
    entry = entry_of(tokenizer, domain, column)
    return cell(entry, domain, column, rank)


def entry_of(tokenizer: Tokenizer, domain: str, column: Column) -> Entry | None:
    """The run that a column's score is of: a cost is that of the first suite that measured it."""
    if not column.cost:
        return tokenizer.entries.get(column.suite)
    return next((e for e in tokenizer.entries.values() if (domain, column.metric.name) in e.summaries), None)


def ranks(boards: Sequence[Board], columns: Sequence[Column], groups: Sequence[Band]) -> dict[tuple[str, str, str], str]:
    """(label, domain, column) -> "best" of its band, or "tied" with it."""
    found: dict[tuple[str, str, str], str] = {}
    for board in boards:
        names = [c.metric.name for c in columns if c.suite == board.suite and not c.metric.fixed and c.metric.better]
        ids = {c.metric.name: c.id for c in columns if c.suite == board.suite}
        for group in groups:
            runs = [t.entries[board.suite].run for t in group.tokenizers if board.suite in t.entries]
            if group.reference or len(runs) < 2 or not names:
                continue
            for line in compare(runs, 0, names).lines:
                if line.rank:
                    found[line.tokenizer, line.domain, ids[line.metric.name]] = line.rank
    return found
