"""Boards -> the numbers that the page draws its plots from."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.api import Metric
from bench.leaderboard.aggregate import Board
from bench.records.reader import Kept
from bench.report import marks


def points(boards: Sequence[Board]) -> dict[str, object]:
    """What the plots are drawn from: points by domain, metric and label, [mean, low, high]; null where there is no interval."""
    metrics = [
        (board, m) for board in boards for m in board.metrics.values() if m.better and any(_drawn(board, d, m) for d in board.domains)
    ]
    return {
        "metrics": [
            {
                "id": f"{board.suite}/{m.name}",
                "suite": board.suite,
                "name": m.name,
                "unit": m.shown_unit,
                "better": m.better,
                "first": m.name in board.headline,
                "domains": {domain: _drawn(board, domain, m) for domain in board.domains if _drawn(board, domain, m)},
            }
            for board, m in metrics
        ],
        "uncoded": sorted({e.label for board in boards for e in board.entries if e.run.reference}),
        "here": sorted({e.label for board in boards for e in board.entries if marks.of_run(e.run)}),
        "ladders": {e.label: _ladder(e.run) for board in boards for e in board.entries},
    }


def _ladder(run: Kept) -> str:
    """Variants of one codec at several rates share it, and are joined by a line."""
    return f"{run.tokenizer['name']} {run.tokenizer['sample_rate']} {run.tokenizer['weights']}"


def _drawn(board: Board, domain: str, metric: Metric) -> dict[str, list[float | None]]:
    found = {entry.label: entry.summaries.get((domain, metric.name)) for entry in board.entries}
    numbers = {label: (s.mean, s.low, s.high) for label, s in found.items() if s and not math.isnan(s.mean)}
    return {label: [_six(metric.scale * value) for value in three] for label, three in numbers.items()}


def _six(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.6g}")
