"""Runs -> lines: each tokenizer's mean in each metric and domain, its difference from the reference, and whether the best is better.

Two families of tests, each corrected by Holm for all its tests in one table: every tokenizer against the reference, and every tokenizer
against the best of its metric and domain. Ranks are made on the clips that all have a score for, so that nobody gains by failing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.api import DOMAINS, Metric, Row
from bench.records.reader import Kept, names, refuse_unlike
from bench.statistics.bootstrap import Summary, columns, holm, mean, summary
from bench.statistics.paired import Paired, goodness, harm, paired, sized

LEVEL = 0.05


@dataclass(frozen=True)
class Line:
    """One tokenizer in one metric of one domain."""

    domain: str
    sample_rate: int | None  # Hz of the clips' own files; None: all rates together
    metric: Metric
    tokenizer: str
    summary: Summary
    difference: Paired | None = None  # from the reference; None: it is the reference, or there is nothing to test
    p: float = math.nan  # of that difference, corrected
    rank: Literal["", "best", "tied"] = ""  # "tied": not distinguishable from the best


@dataclass(frozen=True)
class Comparison:
    """Lines by domain, metric and tokenizer. `tests`: how many differences from the reference were tested together."""

    runs: tuple[Kept, ...]
    names: tuple[str, ...]
    reference: int
    lines: tuple[Line, ...]

    @property
    def tests(self) -> int:
        return sum(not math.isnan(line.p) for line in self.lines)


def compare(runs: Sequence[Kept], reference: int = 0, columns: Sequence[str] = (), rates: Mapping[str, int] | None = None) -> Comparison:
    """Lines of the metrics named (none: all). `rates`, by clip: the clips of each rate apart; values of the whole corpus are left out."""
    refuse_unlike(runs, any_seed=True)
    called = names(runs)
    metrics = [runs[0].metrics[name] for name in columns or runs[0].metrics]
    blocks = [
        _block(domain, rate, metric, tables, called, reference)
        for domain in DOMAINS
        for rate in (sorted(set(rates.values())) if rates else (None,))
        for metric in metrics
        if any(tables := [_of_rate(run.scores.get((domain, metric.name), {}), rate, rates) for run in runs])
    ]
    corrected = holm([line.difference.estimate.p if line.difference else math.nan for block in blocks for line, _ in block])
    against_best = holm([best.estimate.p if best else math.nan for block in blocks for _, best in block])
    flat = [entry for block in blocks for entry in block]
    lines = [
        replace(line, p=p, rank=line.rank or _rank(line.metric, best, p_best))
        for (line, best), p, p_best in zip(flat, corrected, against_best, strict=True)
    ]
    return Comparison(tuple(runs), tuple(called), reference, tuple(lines))


def _of_rate(rows: Mapping[str, Row], rate: int | None, rates: Mapping[str, int] | None) -> dict[str, Row]:
    return {clip: row for clip, row in rows.items() if rates is None or rates.get(clip) == rate}


def _block(
    domain: str, rate: int | None, metric: Metric, tables: Sequence[Mapping[str, Row]], called: Sequence[str], reference: int
) -> list[tuple[Line, Paired | None]]:
    """One line per tokenizer, each with its difference from the best where there is one to be made."""
    best = _best(metric, tables)
    block = []
    for i, (name, rows) in enumerate(zip(called, tables, strict=True)):
        line = Line(domain, rate, metric, name, summary(domain, metric, list(rows.values())), rank="best" if i == best else "")
        if _tested(metric) and i != reference and rows:
            line = replace(line, difference=paired(metric, rows, tables[reference]))
        block.append((line, paired(metric, rows, tables[best]) if best is not None and i != best and rows else None))
    return block


def _tested(metric: Metric) -> bool:
    """Not what is neither good nor bad, and not what a tokenizer's design decides."""
    return bool(harm(metric)) and not metric.fixed


def _best(metric: Metric, tables: Sequence[Mapping[str, Row]]) -> int | None:
    """The one with the best mean over the clips that all have, of those that have any."""
    scored = [{clip for clip, row in rows.items() if not math.isnan(row.value)} for rows in tables]
    common = set.intersection(*(clips for clips in scored if clips)) if any(scored) else set()
    if not _tested(metric) or sum(map(bool, scored)) < 2 or not common:
        return None
    compared = {i: columns([tables[i][clip] for clip in sorted(common)]) for i, clips in enumerate(scored) if clips}
    goods = {i: goodness(metric, mean(sized(metric, x), weights, clusters).value) for i, (x, weights, clusters) in compared.items()}
    return max(goods, key=lambda i: goods[i])


def _rank(metric: Metric, best: Paired | None, p: float) -> Literal["", "tied"]:
    if best is None:
        return ""
    # without a test, as of a value of the whole corpus, what differs by less than the tolerance is the same
    same = abs(best.estimate.value) <= metric.tolerance if math.isnan(p) else p >= LEVEL
    return "tied" if same else ""
