"""Scores -> cells of pages: what does not apply looks unlike what failed, and a column that is the same in every row becomes a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from bench.api import TOKENIZER_FAILED
from bench.leaderboard.aggregate import Entry
from bench.leaderboard.columns import Column
from bench.report import formats
from bench.statistics.bootstrap import Summary

DOES_NOT_APPLY = (  # notes of scores that there cannot be
    *("not applicable*", "codes are raw samples*", "* codes a second are samples*", "*variable rate*", "no frames of one length*"),
    *("no torch layers*", "the end of a clip moves its start*", "the data names fewer *", "needs at least *"),
)
LEAST_ROWS = 3  # of which a column may be called the same in every row


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table. `state`: "" a score; "n/a": it does not apply; "not run": there is no run of the suite;
    "missing": it was to be had and is not; "failed": the tokenizer failed."""

    mean: str = ""
    interval: str = ""
    state: str = ""
    missing: int = 0  # clips without a score, of a mean of the others
    why: str = ""  # of what is not there
    rank: str = ""  # "best", or "tied" where it cannot be distinguished from the best

    @property
    def empty(self) -> bool:
        """Whether nothing was to be had."""
        return self.state in ("n/a", "not run")


NOTHING, NOT_RUN = Cell(state="n/a"), Cell(state="not run", why="no run of this suite")


def cell(entry: Entry | None, domain: str, column: Column, rank: str = "") -> Cell:
    """Of one run's score."""
    if entry is None:
        return NOT_RUN
    if (found := entry.summaries.get((domain, column.metric.name))) is None:
        return NOTHING
    why = entry.reasons.get((domain, column.metric.name), "")
    if math.isnan(found.mean):
        applies = not any(fnmatchcase(why, pattern) for pattern in DOES_NOT_APPLY)
        return Cell(state="failed" if why.startswith(TOKENIZER_FAILED) else "missing" if applies else "n/a", why=why)
    alone = Summary(domain, found.metric, found.mean, found.low, found.high, found.n, 0)
    mean, _, interval = formats.cell(alone, column.metric).partition(" ")
    return Cell(mean, interval, "", found.n_missing, why, rank)


def is_blank(cells: Sequence[Cell]) -> bool:
    """Whether a column has nothing to show."""
    return all(c.empty for c in cells)


def is_constant(cells: Sequence[Cell]) -> bool:
    """Whether a column says the same in every row that it has."""
    shown = {replace(c, rank="") for c in cells if not c.empty}
    return len(shown) == 1 and sum(c.state == "" for c in cells) >= LEAST_ROWS


def constant(column: Column, cells: Sequence[Cell]) -> str:
    """The line that stands for such a column."""
    one = next(c for c in cells if c.state == "")
    unit = column.metric.shown_unit
    return f"{column.head} {one.mean}{' ' if unit not in ('', '%') else ''}{unit}" + (f" {one.interval}" if one.interval else "")
