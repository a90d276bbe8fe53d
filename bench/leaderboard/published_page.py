"""What papers and public comparisons state of tokenizers: published, not measured here; beside a run on the same clips, the difference."""

from __future__ import annotations

from collections.abc import Sequence

from bench.leaderboard import shell
from bench.leaderboard.aggregate import Board
from bench.leaderboard.front import Tokenizer
from bench.report import published
from bench.report.published import Beside

PATH = "published.html"


def render(boards: Sequence[Board], tokenizers: Sequence[Tokenizer], links: shell.Links) -> str:
    """The page of all of them."""
    runs = [entry.run for board in boards for entry in board.entries]
    found = published.beside(published.published(), runs)
    return shell.render(
        "published.html.j2",
        title="Published scores, not measured here",
        path=PATH,
        links=links,
        tables=published.tables(found),
        text=text,
        href={t.label: shell.address(shell.tokenizer_path(t.label)) for t in tokenizers},
    )


def of(tokenizer: Tokenizer) -> list[Beside]:
    """What is published of one tokenizer, beside its own runs."""
    return published.beside(published.of(tokenizer.label), [entry.run for entry in tokenizer.entries.values()])


def text(one: Beside | None) -> str:
    """A cell: the published value and, where there is one, what was measured and the difference."""
    if one is None:
        return ""
    name, measured = one.published.measure, published.shown(one.published.measure, one.measured)
    return one.published.shown + (f" (here {measured}, {published.shown(name, one.difference, '+')})" if measured else "")
