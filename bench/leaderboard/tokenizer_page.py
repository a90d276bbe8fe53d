"""A page for one tokenizer: facts, card, every score, and its place beside the others."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from bench import registry
from bench.api import UserError
from bench.leaderboard import credit, csv_markdown, model_cards, plots, published_page, shell
from bench.leaderboard.aggregate import Board
from bench.leaderboard.cells import cell
from bench.leaderboard.columns import Column, of_board, over
from bench.leaderboard.front import Tokenizer, entry_of
from bench.records.reader import Kept
from bench.report import describe, marks, published

SHOWN = (  # of `bench show`
    *("sample rate", "codebooks", "side codes", "frame rate", "tokens/s", "bitrate", "level"),
    *("causal", "weights", "licence", "source"),
)


def render(
    tokenizer: Tokenizer, boards: Sequence[Board], tokenizers: Sequence[Tokenizer], y: str, heard: bool, links: shell.Links, data: str
) -> str:
    """The page. `y`: the column that its plot begins with, if the tokenizer has a score there; `heard`: whether the listening page
    has it; `data`: the address of the numbers."""
    columns = over(boards)
    card = model_cards.card_of(tokenizer.label)
    query = urlencode({"t": tokenizer.label})
    up = "../"
    return shell.render(
        "tokenizer.html.j2",
        links=links,
        data=[data],
        title=tokenizer.shown,
        path=shell.tokenizer_path(tokenizer.label),
        scripts=("state.js", "plots.js"),
        tokenizer=tokenizer,
        here=marks.line([marks.of_run(tokenizer.run)]),
        family=[(t.shown, up + shell.address(shell.tokenizer_path(t.label))) for t in _relatives(tokenizer, tokenizers)],
        compare=f"{up}{shell.COMPARE}#{query}",
        listen=f"{up}{shell.LISTENING}#{urlencode({'1': tokenizer.label})}" if heard else "",
        key=_key(tokenizer, columns, boards),
        facts=facts(tokenizer.label, tokenizer.run) | ({"licence": tokenizer.licence} if tokenizer.licence else {}),
        scores=[_scores(tokenizer, board) for board in boards if board.suite in tokenizer.entries],
        published=[_published(one) for one in published_page.of(tokenizer)],
        card={"name": f"{card.stem}.md", "html": model_cards.rendered(card)} if card else None,
        runs=[
            {
                "suite": suite,
                "key": e.run.key,
                "commit": e.commit,
                "started": e.run.record.get("started", ""),
                "unproven": credit.unproven(e.run),
            }
            for suite, e in tokenizer.entries.items()
        ],
        x="kbps_packed",
        y=_begun(tokenizer, boards, y),
    )


def _begun(tokenizer: Tokenizer, boards: Sequence[Board], y: str) -> str:
    """`y`, or the first column in which the tokenizer has a score: one that does not decode has no place in a plot of error rates."""
    there = [c.id for c in plots.measures(boards) if plots.rises(c) and plots.triple(tokenizer, boards[0].domains[0], c)]
    return y if y in there or not there else there[0]


def _published(one: published.Beside) -> dict[str, str]:
    """A line of what papers state."""
    stated = one.published
    return {
        "head": published.MEASURES[stated.measure][0],
        "value": stated.shown,
        "measured": published.shown(stated.measure, one.measured),
        "difference": published.shown(stated.measure, one.difference, "+"),
        "data": stated.data,
        "source": stated.source,
    }


def _relatives(tokenizer: Tokenizer, tokenizers: Sequence[Tokenizer]) -> list[Tokenizer]:
    return [t for t in tokenizers if t.family == tokenizer.family and t.label != tokenizer.label]


def _key(tokenizer: Tokenizer, columns: Sequence[Column], boards: Sequence[Board]) -> list[dict[str, object]]:
    """The figures of the table over suites, in the first domain that has any."""
    domains = [domain for board in boards for domain in board.domains]
    for domain in dict.fromkeys(domains):
        found = [{"column": c, "cell": cell(entry_of(tokenizer, domain, c), domain, c)} for c in columns]
        if there := [item for item in found if item["cell"].state == ""]:
            return there
    return []


def _scores(tokenizer: Tokenizer, board: Board) -> dict[str, object]:
    entry = tokenizer.entries[board.suite]
    lines = [(c, [cell(entry, domain, c) for domain in board.domains]) for c in of_board(board)]
    return {
        "name": board.suite,
        "facts": csv_markdown.facts(board),
        "href": "../" + shell.address(shell.suite_path(board.suite)),
        "domains": board.domains,
        "lines": [(c, cells) for c, cells in lines if not all(one.empty for one in cells)],
    }


def facts(label: str, run: Kept) -> dict[str, str]:
    """What `bench show` says; of a tokenizer that is not of this installation, what its run states."""
    try:
        known = registry.variant(label)
    except UserError:  # a file of somebody's own
        known = None
    if known and known.spec.weights == run.tokenizer["weights"] and not run.identity["code"]:
        return {name: text for name, text in describe.facts(known).items() if name in SHOWN} | {"weights": str(run.tokenizer["weights"])}
    codebooks = ", ".join(f"{size} at {rate or 'varying'} Hz" for size, rate in run.tokenizer["codebooks"])
    stated = {"sample rate": str(run.tokenizer["sample_rate"]), "codebooks": codebooks, "weights": str(run.tokenizer["weights"])}
    return stated | ({"once an utterance": f"{run.bits_once:g} bit"} if run.bits_once else {})
