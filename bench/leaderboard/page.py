"""Boards -> pages: the table over suites (index.html), one page for each suite and each tokenizer, and the comparison of a few.

The parts take any boards, so that a report of a few runs is made of the same ones: `aggregate.boards(runs)` makes them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.api import UserError
from bench.leaderboard import (
    compare_page,
    csv_markdown,
    front,
    language_models,
    plots,
    published_page,
    shell,
    starts,
    suite_page,
    tokenizer_page,
)
from bench.leaderboard.aggregate import Board
from bench.leaderboard.columns import Column, head, of_board, over, place
from bench.leaderboard.front import Tokenizer
from bench.records.reader import Kept, natural
from bench.report import marks

TITLE = "Audio tokenizer leaderboard"
SUMMARY = (
    "Neural codecs, semantic tokenizers and classical codecs, through the same suites on the same clips. "
    "Every figure is generated from stored runs."
)
FILES = (  # beside the pages of the leaderboards
    ("results.csv", "has every score, one line each (tokenizer, suite, domain, metric, mean, interval)"),
    ("columns.csv", "every column's definition"),
)


@dataclass(frozen=True)
class Site:
    """What the pages of some boards have in common."""

    boards: Sequence[Board]
    heard: frozenset[str] = frozenset()  # labels that the listening page has; none: there is no such page
    files: Sequence[tuple[str, str]] = FILES  # names of files beside index.html, and what they have
    csv: bool = True  # whether each suite has a CSV file beside index.html
    title: str = TITLE
    summary: str = SUMMARY
    first: str = "Leaderboard"  # what the navigation calls index.html
    further: shell.Links = ()  # of the navigation: pages that others write
    whole: bool = False  # the leaderboards themselves, with what they have beyond boards: language models, and published scores

    @property
    def links(self) -> shell.Links:
        """The navigation: paths and words."""
        listening = [(shell.LISTENING, "Listening")] if self.heard else []
        whole = [(language_models.PATH, "Language models"), (published_page.PATH, "Published")] if self.whole else []
        return [(shell.INDEX, self.first), (shell.COMPARE, "Compare"), *whole, *listening, *self.further]


def pages(site: Site) -> dict[str, str]:
    """Path below the folder of index.html -> page, or script with figures; `shell.assets` are the others."""
    latest(site.boards)
    tokenizers, columns = front.tokenizers(site.boards), over(site.boards)
    numbers, clips = plots.script(site.boards, tokenizers), compare_page.script(site.boards, tokenizers)
    stamped = shell.stamped(plots.DATA, numbers)
    found = {
        shell.INDEX: index(site, tokenizers, columns, stamped),
        shell.COMPARE: compare_page.render(tokenizers, clips, site.links),
        f"{shell.ASSETS}/{plots.DATA}": numbers,
        f"{shell.ASSETS}/{compare_page.DATA}": clips,
    }
    if site.whole:
        found[language_models.PATH] = language_models.render(site.boards, tokenizers, site.links, stamped)
        found[published_page.PATH] = published_page.render(site.boards, tokenizers, site.links)
    for board in site.boards:
        csv = f"../{board.suite}.csv" if site.csv else ""
        suites = _suites(site.boards, "../", board.suite)
        found[shell.suite_path(board.suite)] = suite_page.render(board, tokenizers, csv, site.links, suites, _at(tokenizers, columns))
    for tokenizer in tokenizers:
        page = tokenizer_page.render(tokenizer, site.boards, tokenizers, _y(columns), tokenizer.label in site.heard, site.links, stamped)
        found[shell.tokenizer_path(tokenizer.label)] = page
    return found


def index(site: Site, tokenizers: Sequence[Tokenizer], columns: Sequence[Column], data: str) -> str:
    """The first page. `data`: the address of the numbers."""
    ways = starts.usable(columns)
    return shell.render(
        "index.html.j2",
        title=site.title,
        path=shell.INDEX,
        links=site.links,
        scripts=("state.js", "tables.js", "plots.js"),
        data=[data],
        summary=site.summary,
        measured=measured(site.boards),
        starts=ways,
        start_data={start.id: {"reason": start.reason, "set": starts.choices(start, columns)} for start in ways},
        usual=starts.USUAL,
        x=columns[0].id if not any(c.id == "kbps_packed" for c in columns) else "kbps_packed",
        y=_y(columns),
        kinds=_kinds(tokenizers),
        limits=[{"key": key, "name": name, "head": _limit(name)} for name, key in starts.LIMITS.items() if _has(columns, name)],
        tables=front.tables(site.boards),
        at=_at(tokenizers, columns),
        href={t.label: shell.address(shell.tokenizer_path(t.label)) for t in tokenizers},
        suite_href={board.suite: shell.address(shell.suite_path(board.suite)) for board in site.boards},
        notes=marks.line(marks.of_run(t.run) for t in tokenizers),
        suites=_suites(site.boards, "", ""),
        files=site.files,
        listening=bool(site.heard),
    )


def measured(boards: Sequence[Board]) -> str:
    """Which data the suites were measured on."""
    suites: dict[str, list[str]] = {}
    for board in sorted(boards, key=lambda board: place(board.suite)):
        suites.setdefault(f"{board.first.record['data_name']} ({board.first.record['clips']} clips)", []).append(board.suite)
    return "; ".join(f"{', '.join(names)} on {data}" for data, names in suites.items())


def latest(boards: Iterable[Board]) -> dict[str, Kept]:
    """Label -> one of its runs, by label. UserError where two boards mean different tokenizers by one name."""
    found: dict[str, Kept] = {}
    for entry in (entry for board in boards for entry in board.entries):
        other = found.setdefault(entry.label, entry.run)
        if other.tokenizer != entry.run.tokenizer:
            raise UserError(
                f"{other.where} and {entry.run.where} are of different tokenizers called {entry.label}: run the older one again"
            )
    return dict(sorted(found.items(), key=lambda item: natural(item[0])))


def _has(columns: Sequence[Column], name: str) -> bool:
    return any(c.metric.name == name for c in columns)


def _limit(name: str) -> str:
    return head(name) + " ms" * name.endswith("_ms")


def _y(columns: Sequence[Column]) -> str:
    """The column that plots begin with: the first that is scored clip by clip and not decided by a design."""
    scored = [c for c in columns if not c.cost and not c.metric.fixed and c.metric.better]
    return next((c.id for c in scored if c.metric.per == "clip"), scored[0].id if scored else "")


def _kinds(tokenizers: Sequence[Tokenizer]) -> list[tuple[str, str]]:
    there = {t.kind for t in tokenizers if not t.reference}
    references = [("reference", "reference condition")] if any(t.reference for t in tokenizers) else []
    return [(kind, words) for kind, words in front.KINDS.items() if kind in there] + references


def _at(tokenizers: Sequence[Tokenizer], columns: Sequence[Column]) -> dict[str, str]:
    """Label -> what filters by a largest value go by, as JSON: of each column the value in the first domain that has one."""
    limited = [c for c in columns if c.metric.name in starts.LIMITS]
    return {t.label: json.dumps({c.metric.name: value for c in limited if (value := _value(t, c)) is not None}) for t in tokenizers}


def _value(tokenizer: Tokenizer, column: Column) -> float | None:
    """To six digits."""
    entries = tokenizer.entries.values() if column.cost else [e for s, e in tokenizer.entries.items() if s == column.suite]
    values = (s.mean for e in entries for (_, name), s in e.summaries.items() if name == column.metric.name and not math.isnan(s.mean))
    return next((float(csv_markdown.number(value)) for value in values), None)


def _suites(boards: Sequence[Board], up: str, here: str) -> list[dict[str, object]]:
    """What pages list of every suite."""
    return [
        {
            "title": board.suite,
            "href": up + shell.address(shell.suite_path(board.suite)),
            "about": suite_page.about(board.suite),
            "rows": len(board.entries),
            "columns": len(of_board(board)),
            "here": board.suite == here,
        }
        for board in sorted(boards, key=lambda board: place(board.suite))
    ]
