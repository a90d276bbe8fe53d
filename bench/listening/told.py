"""An analysis as tables for people (terminal, Markdown) and as every number of it (CSV, JSON)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TextIO

from bench.listening.analysis import HEARD, SHARE, Analysis
from bench.listening.blind_test import REFERENCE
from bench.report import tidy
from bench.report.formats import ARROWS, Grid, Strong, probability
from bench.statistics.bootstrap import FEWEST, Estimate

LEVEL = 0.05
COLUMNS = ("what", "name", "against", "mean", "low", "high", "p", "p_holm", "listeners", "items", "pearson", "spearman", "n", "out")


def grids(found: Analysis) -> list[Grid]:
    """Means, differences, correlations."""
    ordered = sorted(found.means, key=lambda m: -m.estimate.value if not math.isnan(m.estimate.value) else math.inf)
    means = [[m.name, m.kind, _interval(m.estimate), str(m.listeners), str(m.items)] for m in ordered]
    out: list[Grid] = [("ratings, 0 to 100", ["condition", "what it is", "mean [95 % interval]", "listeners", "items"], means)]
    if found.differences:
        lines = [[d.a, d.b, _interval(d.estimate, "+"), _strong(probability(d.p), d.p)] for d in found.differences]
        out.append(("differences", ["of", "and", "mean [95 % interval]", "p (Holm)"], lines))
    if found.correlations:
        header = ["metric", "", "Pearson, clips", "Spearman, clips", "clips", "Pearson, means", "Spearman, means", "tokenizers"]
        rows = [
            [
                *(c.metric, ARROWS[c.better], _two(c.pearson), _two(c.spearman), str(c.clips)),
                *(_two(c.pearson_means), _two(c.spearman_means), str(c.tokenizers)),
            ]
            for c in found.correlations
        ]
        out.append(("correlation of mean ratings with metrics", header, rows))
    return out


def notes(found: Analysis) -> list[str]:
    """Who was counted, how to read the tables, and what speaks against them."""
    key = found.answers.key
    gone = [s for s in found.screened if s.listener not in found.answers.listeners]
    out = [
        f"test {key.test}: {len(key.items)} items, {len(found.answers.listeners)} of {len(found.screened)} listeners counted",
        "intervals and tests are over listeners and items, two-sided; p corrected by Holm for all differences of this table",
    ]
    out += [f"out by BS.1534-3: {s.listener} rated the hidden reference below {HEARD:g} in {s.missed} of {s.trials} trials" for s in gone]
    for s in found.screened:
        if s not in gone and s.out:
            out.append(
                f"{s.listener} rated the hidden reference below {HEARD:g} in {s.missed} of {s.trials} trials, and is counted as asked"
            )
        if s.deaf_to_anchor:
            out.append(
                f"{s.listener} rated the 7 kHz anchor above {HEARD:g} in {s.anchors} of {s.of_anchors} trials (over {100 * SHARE:g} %)"
            )
    expected = len(key.conditions)
    for listener in found.answers.listeners:
        if (count := len(found.answers.of(listener))) < expected:
            out.append(f"{listener} rated {count} of {expected} sounds")
    if min(len(found.answers.listeners), len(key.items)) < FEWEST:
        out.append(f"no intervals and no tests: {FEWEST} listeners and {FEWEST} items are the fewest")
    if found.correlations:
        out.append(
            "correlations: of every clip through every tokenizer, and of the tokenizers' means; hidden reference and anchors take no part"
        )
    return out


def _interval(e: Estimate, sign: str = "") -> str:
    if math.isnan(e.value):
        return "–"
    interval = "" if math.isnan(e.low) else f" [{e.low:{sign}.1f}, {e.high:{sign}.1f}]"
    return f"{e.value:{sign}.1f}{interval}"


def _two(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _strong(text: str, p: float) -> str:
    return Strong(text) if p < LEVEL else text


def records(found: Analysis) -> list[tidy.Record]:
    """Every number, a line each: what it is of is in `what`."""
    lines: list[tidy.Record] = []
    for m in found.means:
        e = m.estimate
        lines.append(
            {"what": m.kind, "name": m.name, "mean": e.value, "low": e.low, "high": e.high} | {"listeners": m.listeners, "items": m.items}
        )
    for d in found.differences:
        e = d.estimate
        lines.append(
            {"what": "difference", "name": d.a, "against": d.b, "mean": e.value, "low": e.low, "high": e.high, "p": e.p, "p_holm": d.p}
        )
    for c in found.correlations:
        lines.append({"what": "correlation of clips", "name": c.metric, "pearson": c.pearson, "spearman": c.spearman, "n": c.clips})
        means = {"pearson": c.pearson_means, "spearman": c.spearman_means, "n": c.tokenizers}
        lines.append({"what": "correlation of means", "name": c.metric, **means})
    for s in found.screened:
        lines.append({"what": "listener", "name": s.listener, "n": s.trials, "out": int(s.listener not in found.answers.listeners)})
    return [tidy.plain(dict.fromkeys(COLUMNS) | line) for line in lines]


def to_csv(found: Analysis, out: TextIO) -> None:
    """The records as CSV; what does not apply is an empty cell."""
    tidy.to_csv(records(found), out, COLUMNS)


def to_json(found: Analysis, below: Iterable[str], out: TextIO) -> None:
    """The same records, and the notes."""
    key = found.answers.key
    whole = {"test": key.test, "title": key.title, "reference": REFERENCE, "lines": records(found), "notes": list(below)}
    json.dump(whole, out, indent=1, ensure_ascii=False, allow_nan=False)
    out.write("\n")
