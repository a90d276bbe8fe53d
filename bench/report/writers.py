"""A comparison -> one table for people (terminal, Markdown, LaTeX), or every number of it for machines (CSV, JSON)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TextIO

from bench.compare.ladders import Ladder, RateLine
from bench.compare.lines import LEVEL, Comparison, Line
from bench.records.reader import Kept
from bench.report import marks, tidy
from bench.report.comparability import missing, packages
from bench.report.formats import Grid, Strong, cell, change, probability, title
from bench.report.tidy import Record
from bench.statistics.bootstrap import FEWEST, scarce

LEFT = 2  # columns of text before those of numbers
MARKS = {"best": " *", "tied": " ≈", "": "  "}


def grids(comparison: Comparison, rates: Sequence[RateLine] = ()) -> list[Grid]:
    """A table a domain (and sample rate), its lines grouped by metric; then one of BD-rates."""
    shown = _shown(comparison)
    reference = shown[comparison.names[comparison.reference]]
    header = ["metric", "tokenizer", "mean [95 % interval]", f"− {reference} [95 % interval]", "p (Holm)", "clips"]
    places = dict.fromkeys((line.domain, line.sample_rate) for line in comparison.lines)
    out: list[Grid] = []
    for domain, rate in places:
        block = [line for line in comparison.lines if (line.domain, line.sample_rate) == (domain, rate)]
        above = ""
        lines = []
        for line in block:
            lines.append([title(line.metric, line.metric.unit) if line.metric.name != above else "", *_cells(line, shown[line.tokenizer])])
            above = line.metric.name
        speakers = {row.speaker for run in comparison.runs for row in run.rows if row.domain == domain and row.speaker}
        n = max(line.summary.n + line.summary.n_missing for line in block)
        caption = domain + (f", {rate / 1000:g} kHz" if rate else "") + f" (n = {n}" + (f", {len(speakers)} speakers)" if speakers else ")")
        out.append((caption, header, lines))
    return out + ([_rate_grid(rates)] if rates else [])


def _hours(run: Kept) -> float | None:
    here = marks.of_run(run)
    return here.hours if here else None


def _shown(comparison: Comparison) -> dict[str, str]:
    """Name of a run -> the name with its sign, where it has one."""
    return {name: marks.marked(name, marks.of_run(run)) for name, run in zip(comparison.names, comparison.runs, strict=True)}


def _cells(line: Line, name: str) -> list[str]:
    mean = cell(line.summary, line.metric) + MARKS[line.rank]
    name, mean = (Strong(name), Strong(mean)) if line.rank == "best" else (name, mean)
    if line.difference is None:
        return [name, mean, "", "", ""]
    p = probability(line.p)
    difference = change(line.difference.estimate, line.metric)
    return [name, mean, difference, Strong(p) if line.p < LEVEL else p, str(line.difference.clips)]


def _rate_grid(rates: Sequence[RateLine]) -> Grid:
    header = ["domain", "at equal", "ladder", "against", "BD-rate [95 % interval]", "from", "to", "points", "clips"]
    lines = [
        [
            line.domain,
            title(line.metric, line.metric.unit),
            line.ladder.name,
            line.anchor.name,
            _percent(line),
            *(
                ("–" if math.isnan(line.delta.percent) else f"{abs(end) * line.metric.scale:.4g}")
                for end in (line.delta.low, line.delta.high)
            ),
            f"{len(line.ladder.runs)}, {len(line.anchor.runs)}",
            str(line.clips),
        ]
        for line in rates
    ]
    return "BD-rate: bitrate for the same quality", header, lines


def _percent(line: RateLine) -> str:
    if math.isnan(line.delta.percent):
        return "–"
    interval = "" if math.isnan(line.low) else f" [{line.low:+.1f}, {line.high:+.1f}]"
    return f"{line.delta.percent:+.1f} %{interval}"


def notes(comparison: Comparison, rates: Sequence[RateLine], found: Sequence[Ladder]) -> list[str]:
    """What stands below: how to read the table, and all that speaks against it."""
    runs, reference = comparison.runs, _shown(comparison)[comparison.names[comparison.reference]]
    first = runs[0]
    out = [
        f"{first.suite} v{first.identity['version']} on {first.record['data_name']} ({first.record['clips']} clips, sha256 "
        f"{first.identity['data'][:8]}): weighted mean [95 % interval over speakers]; -k: k clips have no score",
        f"− {reference}: on the clips that both have a score for; p of the paired bootstrap over speakers, two-sided, "
        f"corrected by Holm for all {comparison.tests} tests of this table; –: no test (a value of the whole corpus, or fewer than "
        f"{FEWEST} speakers)",
        f"* best on the clips that all have; ≈ not distinguishable from it at {100 * LEVEL:g} %, corrected likewise",
    ]
    if any(line.metric.better == "zero" for line in comparison.lines):
        out.append("→0: the smallest magnitude, averaged over clips, is best; differences are of these averages")
    out += marks.line(marks.of_run(run) for run in runs)
    out += [f"timed on {place}" for place in sorted({run.machine for run in runs} - {""})]
    for name, run in zip(comparison.names, runs, strict=True):
        out += missing(name, run)
    out += scarce(line.summary for line in comparison.lines)
    out += packages(runs)
    if rates:
        out += _rate_notes(rates)
    elif len(found) > 1:
        listed = ", ".join(f"{ladder.name} ({len(ladder.runs)} rates)" for ladder in found)
        out.append(f"several bitrates: {listed}; --bd-rate METRIC compares bitrates at equal quality")
    return out


def _rate_notes(rates: Sequence[RateLine]) -> list[str]:
    measured = "the packed codes" if rates[0].measured else "the codebooks (nominal: this suite measures none)"
    out = [
        f"BD-rate: mean difference in bitrate, that of {measured}, over the quality from..to that both reach; log-rate by PCHIP; "
        "interval by leaving out a speaker at a time; four bitrates per codec are usual"
    ]
    for line in rates:
        if line.delta.note:
            out.append(f"{line.ladder.name} against {line.anchor.name}, {line.domain} {line.metric.name}: {line.delta.note}")
    return out


COLUMNS = (
    *tidy.COLUMNS,
    *("sample_rate", "rank", "reference", "difference", "difference_low", "difference_high", "p", "p_holm", "clips", "note"),
)


def records(comparison: Comparison, rates: Sequence[RateLine]) -> list[Record]:
    """Every line with all its digits, the columns of `bench.report.tidy` first; a BD-rate is a line of metric `bd_rate:<metric>`, in %.
    What does not apply is None."""
    heads = {name: _head(name, run) for name, run in zip(comparison.names, comparison.runs, strict=True)}
    shared = {key: value for key, value in heads[comparison.names[0]].items() if key in ("suite", "version", "data")}
    reference = comparison.names[comparison.reference]
    return [heads[line.tokenizer] | _record(line, reference) for line in comparison.lines] + [
        dict.fromkeys(COLUMNS) | shared | _rate_record(line) for line in rates
    ]


def _head(name: str, run: Kept) -> Record:
    return dict.fromkeys(COLUMNS) | tidy.head_of(run) | {"tokenizer": name, "run": run.key}


def _record(line: Line, reference: str) -> Record:
    found = tidy.place(line.metric, line.domain) | tidy.numbers(line.summary) | {"sample_rate": line.sample_rate, "rank": line.rank}
    if line.difference is not None:
        e = line.difference.estimate
        found |= {"reference": reference, "difference": e.value, "difference_low": e.low, "difference_high": e.high, "p": e.p}
        found |= {"p_holm": line.p, "clips": line.difference.clips}
    return found


def _rate_record(line: RateLine) -> Record:
    return {
        **{"domain": line.domain, "metric": f"bd_rate:{line.metric.name}", "unit": "%", "better": "lower", "tokenizer": line.ladder.name},
        **{"reference": line.anchor.name, "difference": line.delta.percent, "difference_low": line.low, "difference_high": line.high},
        **{"clips": line.clips, "note": line.delta.note},
    }


def to_csv(comparison: Comparison, rates: Sequence[RateLine], out: TextIO) -> None:
    """One line for each tokenizer, domain and metric, all digits."""
    tidy.to_csv(records(comparison, rates), out, COLUMNS)


def to_json(comparison: Comparison, rates: Sequence[RateLine], below: Sequence[str], out: TextIO) -> None:
    """The same lines, what was compared, and the notes. NaN is null."""
    tokenizers = [
        {
            "name": name,
            "label": run.label,
            "key": run.key,
            "trained": run.trained,
            "trained_here_hours": _hours(run),
            "folder": str(run.where),
            "identity": run.identity,
        }
        for name, run in zip(comparison.names, comparison.runs, strict=True)
    ]
    whole = {
        "fingerprint": comparison.runs[0].fingerprint,
        "reference": comparison.names[comparison.reference],
        "tests": comparison.tests,
        "tokenizers": tokenizers,
        "lines": list(map(tidy.plain, records(comparison, rates))),
        "notes": list(below),
    }
    json.dump(whole, out, indent=1, ensure_ascii=False, allow_nan=False)
    out.write("\n")
