"""Boards -> index.html, one file that needs nothing but the samples beside it. Jinja2 escapes whatever the template is given.

The styles and scripts of templates/ and vendor/ stand inside the page, and its policy lets no other script run.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench import registry
from bench.api import DOMAINS, Metric, UserError
from bench.leaderboard import csv_markdown, model_cards
from bench.leaderboard.aggregate import Board, Entry
from bench.leaderboard.plots import points
from bench.records.reader import Kept, natural
from bench.report import describe, formats, marks
from bench.report.formats import ARROWS
from bench.statistics.bootstrap import Summary

HERE = Path(__file__).parent
SCRIPTS = (  # the first one runs before anything is shown
    HERE / "templates" / "theme.js",
    HERE / "vendor" / "uplot" / "uPlot.iife.min.js",
    HERE / "templates" / "tables.js",
    HERE / "templates" / "plots.js",
)
STYLES = (HERE / "vendor" / "uplot" / "uPlot.min.css", HERE / "templates" / "page.css")

SHOWN = ("sample rate", "codebooks", "frame rate", "tokens/s", "bitrate", "causal", "weights", "licence", "source")  # of `bench show`

Facts = dict[str, object]


def render(boards: Sequence[Board], listening: str) -> str:
    """The whole page; `listening`: the page of samples beside it, "" for none."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    runs = latest(boards)
    anchors = _anchors("t", runs)
    scripts = [path.read_text(encoding="utf-8").strip() for path in SCRIPTS]
    shown = [path for path in dict.fromkeys(model_cards.card_of(label) for label in runs) if path]
    return environment.get_template("index.html.j2").render(
        suites=[_suite(board, anchors) for board in boards],
        here=marks.line(map(marks.of_run, runs.values())),
        tokenizers=[_tokenizer(label, run, boards, anchors[label]) for label, run in runs.items()],
        cards=[{"anchor": _card_anchor(path), "name": f"{path.stem}.md", "html": model_cards.rendered(path)} for path in shown],
        listening=listening,
        plots=points(boards),
        plot_domains=[domain for domain in DOMAINS if any(domain in board.domains for board in boards)],
        styles=[Markup(path.read_text(encoding="utf-8").strip()) for path in STYLES],
        scripts=[Markup(script) for script in scripts],
        policy=" ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts),
    )


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


def _anchors(kind: str, names: Iterable[str]) -> dict[str, str]:
    """Name -> what can stand behind a #, each its own."""
    found: dict[str, str] = {}
    for name in names:
        plain = f"{kind}-{re.sub(r'[^a-z0-9.]+', '-', name.lower()).strip('-')}"
        found[name] = plain if plain not in found.values() else f"{plain}-{len(found)}"
    return found


def _card_anchor(path: Path) -> str:
    return f"card-{path.stem}"


def _suite(board: Board, anchors: Mapping[str, str]) -> Facts:
    return {
        "name": board.suite,
        "about": registry.load_suite(board.suite).about if board.suite in registry.suites() else "",
        "facts": csv_markdown.facts(board),
        "commits": sorted({entry.commit for entry in board.entries if entry.commit}),
        "changed": any(entry.commit.endswith("+") for entry in board.entries),
        "columns": [_column(m, board.about.get(m.name, ""), True) for m in board.metrics.values()],
        "notes": csv_markdown.notes(board),
        "more": len(board.headline) < len(board.metrics),
        "domains": [_table(board, domain, anchors) for domain in board.domains],
    }


def _table(board: Board, domain: str, anchors: Mapping[str, str]) -> Facts:
    columns = board.columns(domain)
    first = [m for name in board.headline for m in columns if m.name == name]
    ordered = [*first, *(m for m in columns if m not in first)]
    return {
        "name": domain,
        "clips": board.clips(domain),
        "speakers": board.speakers(domain),
        "columns": [_column(m, board.about.get(m.name, ""), m in first) for m in ordered],
        "rows": [
            {
                "label": entry.label,
                "shown": _shown(entry.run),
                "anchor": anchors[entry.label],
                "kbps": csv_markdown.number(_kbps(entry, domain)),
                "cells": [_cell(entry.summaries.get((domain, m.name)), m) for m in ordered],
            }
            for entry in board.entries
        ],
    }


def _shown(run: Kept) -> str:
    return marks.marked(run.label, marks.of_run(run))


def _kbps(entry: Entry, domain: str) -> float:
    """What the filter by bitrate goes by: the measured rate where there is one."""
    measured = entry.summaries.get((domain, "kbps_packed"))
    return measured.mean if measured else entry.kbps


def _column(metric: Metric, about: str, first: bool) -> Facts:
    better = {"higher": "higher is better", "lower": "lower is better", "zero": "nearest to zero is best", "": ""}[metric.better]
    return {
        "name": metric.name,
        "unit": metric.shown_unit,
        "arrow": ARROWS[metric.better],
        "better": metric.better,
        "about": "; ".join(filter(None, (about, better))),
        "first": first,
    }


def _cell(summary: Summary | None, metric: Metric) -> Facts:
    """Text of the mean and of its interval, what the column is sorted by, and how many scores are missing."""
    if summary is None:
        return {"mean": "", "interval": "", "missing": 0, "n": 0, "value": ""}
    text = formats.cell(Summary(summary.domain, summary.metric, summary.mean, summary.low, summary.high, summary.n, 0), metric)
    mean, _, interval = text.partition(" ")
    value = abs(summary.mean) if metric.better == "zero" else summary.mean
    return {
        "mean": mean,
        "interval": interval,
        "missing": summary.n_missing,
        "n": summary.n,
        "value": csv_markdown.number(value),
    }


def _tokenizer(label: str, run: Kept, boards: Sequence[Board], anchor: str) -> Facts:
    card = model_cards.card_of(label)
    return {
        "label": label,
        "shown": _shown(run),
        "here": marks.line([marks.of_run(run)]),
        "anchor": anchor,
        "facts": _facts(label, run),
        "scores": [scores for board in boards for scores in _scores(label, board)],
        "runs": [
            {"suite": board.suite, "key": e.run.key, "commit": e.commit, "started": e.run.record.get("started", "")}
            for board in boards
            for e in board.entries
            if e.label == label
        ],
        "card": _card_anchor(card) if card else "",
    }


def _facts(label: str, run: Kept) -> dict[str, str]:
    """What `bench show` says; of a tokenizer that is not of this installation, what its run states."""
    try:
        known = registry.variant(label)
    except UserError:  # a file of somebody's own
        known = None
    if known and known.spec.weights == run.tokenizer["weights"] and not run.identity["code"]:
        return {name: text for name, text in describe.facts(known).items() if name in SHOWN} | {"weights": str(run.tokenizer["weights"])}
    codebooks = ", ".join(f"{size} at {rate or 'varying'} Hz" for size, rate in run.tokenizer["codebooks"])
    return {"sample rate": str(run.tokenizer["sample_rate"]), "codebooks": codebooks, "weights": str(run.tokenizer["weights"])}


def _scores(label: str, board: Board) -> list[Facts]:
    """Its first columns, a line each, in every domain of a board; empty where it is not on it."""
    entry = next((entry for entry in board.entries if entry.label == label), None)
    if entry is None:
        return []
    metrics = [board.metrics[name] for name in board.headline]
    lines = [
        {
            "column": _column(m, board.about.get(m.name, ""), True),
            "cells": [_cell(entry.summaries.get((domain, m.name)), m) for domain in board.domains],
        }
        for m in metrics
    ]
    return [{"suite": board.suite, "domains": list(board.domains), "lines": lines}]
