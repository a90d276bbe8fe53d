"""A board -> <suite>.csv with every number, and its tables in Markdown.

A CSV has one line per tokenizer variant. `speech.pesq_wb` is a weighted mean over the clips of a domain; `.low` and `.high` are its 95 %
interval, `.n` the clips that have a score, `.n_missing` those that should and do not. An empty cell does not apply. Six digits are kept:
what lies beyond them may differ from one processor to the next. columns.csv has the units; shares are plain there, and per cent in tables.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.api import UserError
from bench.leaderboard import credit, language_models
from bench.leaderboard.aggregate import Board, Entry
from bench.report import formats, marks, tidy
from bench.report.comparability import evaluators, missing, packages
from bench.report.formats import Grid, cell, title
from bench.statistics.bootstrap import Summary, scarce

HEAD = (
    "tokenizer",
    "suite",
    "version",
    "data",
    "fingerprint",
    "run",
    "commit",
    "weights",
    "machine",
    "sample_rate",
    "codebooks",
    "kbps_spec",
)
PARTS = ("", ".low", ".high", ".n", ".n_missing")
INTRO = Path(__file__).parent / "templates" / "readme.md"
MARK = re.compile(
    r"(?P<open><!-- board: (?P<suite>[^\s@]+)(?:@(?P<data>\S+))? (?P<domain>\S+) \| (?P<columns>[^|\n]*) \| (?P<labels>[^|\n]*) -->\n).*?"
    r"(?P<close><!-- /board -->)",
    re.S,
)


def to_csv(board: Board) -> str:
    """The whole board."""
    places = [(domain, metric.name) for domain in board.domains for metric in board.columns(domain)]
    lines = [(*_head(board, entry), *(t for place in places for t in _numbers(entry.summaries.get(place)))) for entry in board.entries]
    return _text(lines, (*HEAD, *(f"{domain}.{name}{part}" for domain, name in places for part in PARTS)))


def _text(lines: Sequence[Sequence[str]], columns: Sequence[str]) -> str:
    from pandas import DataFrame  # here: the command line answers without waiting for pandas

    return DataFrame(lines, columns=list(columns)).to_csv(index=False, lineterminator="\n")


def columns(boards: Sequence[Board]) -> str:
    """columns.csv: what the columns of every board are, and their units. A share is plain, from 0 to 1."""
    lines = [(b.suite, m.name, m.unit, m.better, m.per, b.about.get(m.name, "")) for b in boards for m in b.metrics.values()]
    return _text(lines, ("suite", "column", "unit", "better", "per", "about"))


def to_tidy_csv(boards: Sequence[Board]) -> str:
    """All boards in the one shape of `bench.report.tidy`: a line for each tokenizer, suite, domain and metric."""
    out = io.StringIO()
    lines = (line for board in boards for entry in board.entries for line in _tidy(entry))
    tidy.to_csv(lines, out)
    return out.getvalue()


def _tidy(entry: Entry) -> list[tidy.Record]:
    found = tidy.lines(tidy.head_of(entry.run), entry.run.metrics, entry.summaries.values(), entry.run.key)
    return [{name: number(value) if isinstance(value, float) else value for name, value in line.items()} for line in found]


def _head(board: Board, entry: Entry) -> Sequence[str]:
    spec, identity = entry.run.tokenizer, entry.run.identity
    data = f"{entry.run.record['data_name']}:{identity['data'][:8]}"
    sizes = " ".join(str(size) for size, _ in spec["codebooks"]) if len(spec["codebooks"]) <= 32 else str(len(spec["codebooks"]))
    return (
        *(entry.label, board.suite, str(identity["version"]), data, board.fingerprint, entry.run.key, entry.commit),
        *(spec["weights"], entry.run.machine, str(spec["sample_rate"] or ""), sizes, number(entry.kbps)),
    )


def number(value: float) -> str:
    """Six digits; empty for NaN."""
    return "" if math.isnan(value) else f"{value + 0.0:.6g}"  # never -0


def _numbers(summary: Summary | None) -> Sequence[str]:
    if summary is None:
        return [""] * len(PARTS)
    return [*map(number, (summary.mean, summary.low, summary.high)), str(summary.n), str(summary.n_missing)]


def grid(board: Board, domain: str, columns: Sequence[str], labels: Sequence[str] = ()) -> Grid:
    """Some columns of one domain, of the tokenizers named (none: all)."""
    by_label = {entry.label: entry for entry in board.entries}
    shown = [by_label[label] for label in labels] if labels else board.entries
    metrics = [m for m in board.columns(domain) if m.name in columns]
    metrics.sort(key=lambda m: columns.index(m.name))
    lines = [
        [marks.marked(entry.label, marks.of_run(entry.run)), *(cell(entry.summaries.get((domain, m.name)), m) for m in metrics)]
        for entry in shown
    ]
    return _caption(board, domain), ["tokenizer", *map(title, metrics)], lines


def _caption(board: Board, domain: str) -> str:
    speakers = board.speakers(domain)
    return f"{domain} (n = {board.clips(domain)}" + (f", {speakers} speakers)" if speakers else ")")


def facts(board: Board) -> str:
    """What all lines of a board have in common."""
    run = board.first
    asked = evaluators(run)
    judge = f", evaluator{'s' * (len(asked) > 1)} {', '.join(asked)}" if asked else ""
    machines = list(dict.fromkeys(entry.run.machine for entry in board.entries if entry.run.machine))
    timed = f", timed on {' and '.join(machines)}" if machines else ""
    return (
        f"{run.suite} v{run.identity['version']} on {run.record['data_name']} ({run.record['clips']} clips, sha256 "
        f"{run.identity['data'][:8]}){judge}{timed}, fingerprint {board.fingerprint}"
    )


def notes(board: Board) -> list[str]:
    """Why scores are missing, and what was not the same everywhere."""
    lines = marks.line(marks.of_run(entry.run) for entry in board.entries)
    lines += [f"{entry.label}: {line}" for entry in board.entries if (line := credit.unproven(entry.run))]
    lines += [line for entry in board.entries for line in missing(entry.label, entry.run)]
    lines += scarce(summary for entry in board.entries for summary in entry.summaries.values())
    return [*lines, *packages([entry.run for entry in board.entries])]


def to_markdown(board: Board) -> str:
    """The first columns of every domain, and the notes."""
    out = io.StringIO()
    formats.to_markdown([grid(board, domain, board.headline) for domain in board.domains], notes(board), out)
    return out.getvalue()


def into(text: str, boards: Mapping[str, Board], where: str) -> str:
    """A README with its tables made again, each between `<!-- board: SUITE DOMAIN | columns | tokenizers -->` and `<!-- /board -->`.

    SUITE@DATA is a table of the boards on that data set; those on another leave it as it is.
    """

    def table(match: re.Match[str]) -> str:
        board, columns, labels = boards.get(match["suite"]), match["columns"].split(), match["labels"].split()
        if match["data"] and (board is None or board.first.record["data_name"] != match["data"]):
            return match[0]
        if board is None:
            raise UserError(f"{where}: a table of the suite {match['suite']}, which has no board: add runs of it, or remove the table")
        absent = [c for c in columns if c not in board.metrics] + [x for x in labels if x not in {entry.label for entry in board.entries}]
        if absent:
            raise UserError(
                f"{where}: the board of {board.suite} has no {', '.join(absent)}: add the run, or correct the line of the table"
            )
        out = io.StringIO()
        formats.to_markdown([grid(board, match["domain"], columns, labels)], [], out)
        here = marks.line(marks.of_run(entry.run) for entry in board.entries if entry.label in labels or not labels)
        below = "".join(f"{line}.\n" for line in (*here, facts(board)))
        return f"{match['open']}{out.getvalue().strip()}\n\n{below}{match['close']}"

    return MARK.sub(table, text)


def readme(boards: Sequence[Board]) -> str:
    """leaderboards/README.md: the first columns of every board."""
    parts = [INTRO.read_text(encoding="utf-8")]
    if told := language_models.to_markdown(boards):
        parts.append(f"\n## {language_models.TITLE}\n\nWhat is paid beside what is kept: `{language_models.PATH}`.\n\n{told}")
    for board in boards:
        parts.append(f"\n## {board.suite}\n\n{facts(board)}.\n\n{to_markdown(board)}")
    return "".join(parts)
