"""A page for one suite: its tables, a domain at a time, with every column behind the first ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import registry
from bench.leaderboard import csv_markdown, shell
from bench.leaderboard.aggregate import Board
from bench.leaderboard.cells import Cell, cell, constant, is_blank, is_constant
from bench.leaderboard.columns import Column, of_board
from bench.leaderboard.front import Tokenizer


@dataclass(frozen=True)
class Table:
    """One domain of a suite. Columns that say the same in every row are lines of `constants`."""

    domain: str
    clips: int
    speakers: int
    columns: tuple[Column, ...]
    constants: tuple[str, ...]
    tokenizers: tuple[Tokenizer, ...]
    cells: Mapping[str, Sequence[Cell]]


def tables(board: Board, tokenizers: Sequence[Tokenizer]) -> list[Table]:
    """A table for each domain of the board."""
    there = tuple(t for t in tokenizers if board.suite in t.entries)
    return [_table(board, domain, there) for domain in board.domains]


def _table(board: Board, domain: str, tokenizers: tuple[Tokenizer, ...]) -> Table:
    columns = of_board(board)
    found = {c.id: [cell(t.entries[board.suite], domain, c) for t in tokenizers] for c in columns}
    shown = [c for c in columns if not is_blank(found[c.id])]
    same = [c for c in shown if is_constant(found[c.id])]
    kept = tuple(c for c in shown if c not in same)
    return Table(
        domain,
        board.clips(domain),
        board.speakers(domain),
        kept,
        tuple(constant(c, found[c.id]) for c in same),
        tokenizers,
        {t.label: [found[c.id][i] for c in kept] for i, t in enumerate(tokenizers)},
    )


def about(suite: str) -> str:
    """What a suite measures, in a line; "" of one that is not installed."""
    return registry.load_suite(suite).about if suite in registry.suites() else ""


def render(board: Board, tokenizers: Sequence[Tokenizer], csv: str, links: shell.Links, suites: object, at: Mapping[str, str]) -> str:
    """The page. `csv`: the address of the file with every number; "": none. `suites`: what is listed of every suite; `at`: what filters
    go by, as JSON."""
    found = tables(board, tokenizers)
    return shell.render(
        "suite.html.j2",
        links=links,
        title=f"{board.suite}: scores of audio tokenizers",
        path=shell.suite_path(board.suite),
        scripts=("state.js", "tables.js"),
        name=board.suite,
        about=about(board.suite),
        facts=csv_markdown.facts(board),
        csv=csv,
        tables=found,
        more=any(not c.first for table in found for c in table.columns),
        columns=of_board(board),
        notes=csv_markdown.notes(board),
        commits=sorted({entry.commit for entry in board.entries if entry.commit}),
        changed=any(entry.commit.endswith("+") for entry in board.entries),
        suites=suites,
        at=at,
        href={t.label: "../" + shell.address(shell.tokenizer_path(t.label)) for t in tokenizers},
    )
