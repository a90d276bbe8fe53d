"""Tokenizers and their scores -> the numbers that a page draws its plot from."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from bench.leaderboard import shell
from bench.leaderboard.aggregate import Board
from bench.leaderboard.columns import Column, of_board, over, place
from bench.leaderboard.front import Tokenizer, entry_of

Triple = list[float | None]
ACROSS = ("throughput",)  # suites whose columns may be the x axis, beside the costs
PRICES = ("lm_bits_per_s",)  # facts that are paid for what other columns keep: the x axis alone, and less is cheaper


DATA = "numbers.js"  # in assets/


def script(boards: Sequence[Board], tokenizers: Sequence[Tokenizer]) -> str:
    """The file of the numbers."""
    return f"const numbers = {json.dumps(numbers(boards, tokenizers), separators=(',', ':'), allow_nan=False)};\n"


def numbers(boards: Sequence[Board], tokenizers: Sequence[Tokenizer]) -> dict[str, object]:
    """Every tokenizer's facts, and [mean, low, high] by column, domain and tokenizer, as `labels` has them; null where there is none."""
    domains = list(dict.fromkeys(domain for board in boards for domain in board.domains))
    metrics = [_metric(column, domains, tokenizers) for column in measures(boards)]
    families = list(dict.fromkeys(t.family for t in tokenizers))
    return {
        "domains": domains,
        "labels": [t.label for t in tokenizers],
        "shown": [t.shown for t in tokenizers],
        "kinds": ["reference" if t.reference else t.kind for t in tokenizers],
        "families": [families.index(t.family) for t in tokenizers],
        "links": [shell.address(shell.tokenizer_path(t.label)) for t in tokenizers],
        "metrics": [metric for metric in metrics if metric["domains"]],
    }


def measures(boards: Sequence[Board]) -> list[Column]:
    """What an axis may be: the columns of the table over suites, then the first of every suite, of those that are good, bad or paid."""
    found = {c.id: c for c in over(boards)}
    for board in sorted(boards, key=lambda board: place(board.suite)):
        found |= {c.id: c for c in of_board(board) if c.first and c.id not in found}
    return [c for c in found.values() if c.metric.better or c.metric.name in PRICES]


def rises(column: Column) -> bool:
    """Whether it may be the y axis."""
    return not column.cost and column.metric.name not in PRICES


def _metric(column: Column, domains: Sequence[str], tokenizers: Sequence[Tokenizer]) -> dict[str, object]:
    triples = {domain: [triple(t, domain, column) for t in tokenizers] for domain in domains}
    return {
        "id": column.id,
        "group": column.group,
        "name": column.metric.name,
        "head": column.head,
        "unit": column.metric.shown_unit,
        "better": column.metric.better,
        "across": column.cost or column.suite in ACROSS or column.metric.name in PRICES,
        "up": rises(column),
        "domains": {domain: found for domain, found in triples.items() if any(found)},
    }


def triple(tokenizer: Tokenizer, domain: str, column: Column) -> Triple | None:
    """[mean, low, high] in the column's unit; [mean] where there is no interval, None where there is no score."""
    entry = entry_of(tokenizer, domain, column)
    found = entry.summaries.get((domain, column.metric.name)) if entry else None
    if found is None or math.isnan(found.mean):
        return None
    scale = column.metric.scale
    values = [_six(scale * value) for value in (found.mean, found.low, found.high)]
    return values if values[1] is not None else values[:1]


def _six(value: float) -> float | None:
    """As many digits as the files have."""
    return None if math.isnan(value) else float(f"{value:.6g}")
