"""The comparison of two or three tokenizers, computed in the reader's browser from the scores of every clip.

templates/paired.js does what bench/statistics/paired.py and bench/compare/lines.py do, on the same draws: they are written down beside the
scores, two thousand for every number of speakers that occurs. A test holds the page equal to `bench compare`. The pairs themselves would
grow with the square of the tokenizers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

from bench.api import Row
from bench.leaderboard import csv_markdown, shell
from bench.leaderboard.aggregate import Board
from bench.leaderboard.columns import Column, of_board
from bench.leaderboard.front import Tokenizer
from bench.statistics.bootstrap import FEWEST, FLOOR, MOST, ROUNDING, drawn, t_quantile
from bench.statistics.paired import sized_span

DATA = "clips.js"  # in assets/: the scores, for this page alone
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # of how often a speaker was drawn
Facts = dict[str, object]


def render(tokenizers: Sequence[Tokenizer], data: str, links: shell.Links) -> str:
    """The page. `data`: what `script` gave."""
    return shell.render(
        "compare.html.j2",
        title="Compare tokenizers",
        path=shell.COMPARE,
        links=links,
        scripts=("state.js", "paired.js", "compare.js"),
        data=[shell.stamped(DATA, data)],
        tokenizers=tokenizers,
        href={t.label: shell.address(shell.tokenizer_path(t.label)) for t in tokenizers},
    )


def script(boards: Sequence[Board], tokenizers: Sequence[Tokenizer]) -> str:
    """The file of the scores."""
    labels = [t.label for t in tokenizers]
    suites = [_suite(board, labels) for board in boards]
    counts = sorted({count for board in boards for count in _counts(board)})
    facts: Facts = {
        "labels": labels,
        "shown": [t.shown for t in tokenizers],
        "links": [shell.address(shell.tokenizer_path(t.label)) for t in tokenizers],
        "suites": suites,
        "draws": {count: _draws(count) for count in counts},
        "quantiles": {count - 1: t_quantile(count - 1) for count in counts},
        "fewest": FEWEST,
        "most": MOST,
        "floor": FLOOR,
        "rounding": ROUNDING,
    }
    return f"const clips = {json.dumps(facts, separators=(',', ':'), ensure_ascii=True, allow_nan=False)};\n"


def _draws(count: int) -> str:
    """How often each speaker comes in each draw, a character each; empty where Student's t takes the place of draws."""
    if count > MOST:
        return ""
    return "".join(DIGITS[int(times)] for times in np.asarray(drawn(count, 0)).ravel())


def _suite(board: Board, labels: Sequence[str]) -> Facts:
    first = [c for c in of_board(board) if c.first]
    tables = [_table(board, domain, c, labels) for domain in board.domains for c in first]
    return {"name": board.suite, "facts": csv_markdown.facts(board), "tables": [table for table in tables if table]}


def _table(board: Board, domain: str, column: Column, labels: Sequence[str]) -> Facts | None:
    """A column of a domain: means of what is never tested, else the scores of every clip by its id, with speakers as numbers in the order
    of their names; null where there is none."""
    metric = column.metric
    rows = {e.label: found for e in board.entries if (found := e.run.scores.get((domain, metric.name)))}
    if not rows:
        return None
    facts: Facts = {
        **{"domain": domain, "name": metric.name, "head": column.head, "about": column.definition, "unit": metric.shown_unit},
        **{"better": metric.better, "scale": metric.scale, "tolerance": metric.tolerance},
    }
    if metric.fixed or not metric.better:
        means = {e.label: s.mean for e in board.entries if (s := e.summaries.get((domain, metric.name)))}
        return facts | {"means": [_number(means.get(label, math.nan)) for label in labels]}
    clips = sorted({clip for found in rows.values() for clip in found})
    any_row = {clip: next(found[clip] for found in rows.values() if clip in found) for clip in clips}
    names = sorted({_speaker(row) for row in any_row.values()})
    weights = [[_number(rows[label][clip].weight if clip in rows[label] else 0.0) for clip in clips] for label in labels if label in rows]
    same = all(line == weights[0] for line in weights)
    low, high = sized_span(metric)
    return facts | {
        "reach": high - low if math.isfinite(high - low) else None,
        "speakers": [names.index(_speaker(any_row[clip])) for clip in clips],
        "weights": weights[0] if same else weights,
        "values": [
            [_number(rows[label][clip].value if clip in rows[label] else math.nan) for clip in clips] if label in rows else None
            for label in labels
        ],
    }


def _speaker(row: Row) -> str:
    return row.speaker or row.clip


def _number(value: float) -> float | int | None:
    """To nine digits; null for NaN."""
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() else float(f"{value:.9g}")


def _counts(board: Board) -> set[int]:
    """How many speakers any two runs have in common, in any column that is tested."""
    found = set()
    for domain in board.domains:
        for name in board.headline:
            tables = [e.run.scores.get((domain, name), {}) for e in board.entries]
            sets = {frozenset(_there(rows)) for rows in tables}
            speakers = {clip: _speaker(row) for rows in tables for clip, row in rows.items()}
            found |= {len({speakers[clip] for clip in a & b}) for a in sets for b in sets}
    return {count for count in found if count >= FEWEST}


def _there(rows: Mapping[str, Row]) -> set[str]:
    return {clip for clip, row in rows.items() if not math.isnan(row.value)}
