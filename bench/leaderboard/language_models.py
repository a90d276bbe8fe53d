"""What tokens cost a language model and what they keep, over suites: a table, a plot, and what is missing for them.

Bits per second have no good direction by themselves, as a tokenizer that keeps less is cheaper: they stand beside what is kept. Reference
conditions, whose codes are samples, are left out. Columns without any score are left out, too, and named with the reason.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from bench.api import Codebook, Domain, Metric, Spec
from bench.compare.fronts import Front, Priced, fronts
from bench.leaderboard import front, shell
from bench.leaderboard.aggregate import Board
from bench.leaderboard.cells import NOT_RUN, NOTHING, Cell, cell
from bench.leaderboard.columns import Column
from bench.leaderboard.front import Tokenizer, entry_of
from bench.records.finished import CPU_SECONDS
from bench.records.reader import Kept, natural
from bench.records.writer import noted
from bench.report import formats, marks
from bench.statistics.bootstrap import Summary
from bench.tokens.layouts import layouts

PATH, TITLE = "language-models.html", "For language models"
DOMAIN: Domain = "speech"
SECONDS = 30.0
COST = "tokens_per_s"
PRICE = "lm_bits_per_s"
SHOWN: Mapping[str, Sequence[tuple[str, str]]] = {  # group -> (suite, column) of the table, in its order
    "What is paid": (("codes", COST), ("lm", PRICE), ("lm", "lm_gain"), ("lm", "lm_gain_context"), ("lm", "lm_bits_per_char")),
    "What is kept": (
        *(("probe", "probe_asr_cer"), ("codes", "phone_bits_per_s"), ("codes", "shared_bits")),
        *(("codes", "abx_within"), ("codes", "abx_across")),
    ),
    "What a model makes of it": (
        *(("pairs", "pairs_word"), ("pairs", "pairs_syntax"), ("pairs", "pairs_voice")),
        *(("lm", "next_acc_voice"), ("lm", "next_acc_text"), ("lm", "text_bits_per_s")),
        *(("lm", "recover_share_noise_10db"), ("lm", "recover_share_overlap_0db")),
    ),
}
RANKED = ("What is kept", "What a model makes of it")  # groups whose columns are looked at beside the price
KEPT = ("codes/phone_bits_per_s", "probe/probe_asr_cer", "codes/shared_bits")  # what the plot begins with: the first that has scores
LAYOUTS = {"parallel": "parallel", "delayed": "delayed", "one_late": "one late", "flattened": "flattened"}  # of bench/tokens -> head
ABOUT_LAYOUTS = (
    "Positions of a model's context that 30 s take. parallel: one a frame, all its codes at once, as the large transformer of the layout "
    "depth has them; delayed: each codebook one frame later than the one before (MusicGen); one late: all but the first one frame "
    "later (Moshi); flattened: one a code. A tokenizer of one codebook has only the last"
)
MINUTES = "minutes of lm"
ABOUT_MINUTES = (
    "CPU time of all processes that the suite lm took, on the machine that its run names, in minutes; runs stopped on the way have none"
)
TOLD: Mapping[bool | None, str] = {True: ", told apart", False: ", not told apart", None: ""}  # of a lead over all cheaper ones
ABOUT_FRONTS = (
    "Best for their price, by means: no tokenizer with fewer bits per second reaches as much in that column. Prices count as measured",
    "Told apart: that the lead over every cheaper tokenizer is more than chance, at 95 %, by the paired tests of bench compare over "
    "speakers; in the same way, that a tokenizer is beaten by a cheaper one. Holm's correction is over all questions of the list",
    "By intervals: told apart is a lead whose 95 % interval meets that of no cheaper tokenizer, each by itself; who is beaten is left open",
    "What another training of the models that are asked would give is not tested",
)


@dataclass(frozen=True)
class Line:
    """A tokenizer: a cell for each column, then one for each layout, then what the suite lm took."""

    tokenizer: Tokenizer
    cells: tuple[Cell, ...]
    positions: tuple[Cell, ...]
    minutes: Cell


@dataclass(frozen=True)
class Table:
    """What is there, and what is not."""

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    missing: tuple[str, ...]
    fronts: tuple[str, ...]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Heads over neighbouring columns, and how many they span."""
        of = {name: group for group, found in SHOWN.items() for _, name in found}
        return [(group, len(list(found))) for group, found in groupby(of[c.metric.name] for c in self.columns)]


def table(boards: Sequence[Board], tokenizers: Sequence[Tokenizer]) -> Table:
    """The table, cheapest first: by bits per second where there are any, else by tokens per second."""
    by_suite = {board.suite: board for board in boards}
    wanted = [place for found in SHOWN.values() for place in found]
    columns = [c for place in wanted if (c := _column(by_suite, *place))]
    shown = [t for t in tokenizers if not t.reference and any(suite in t.entries for suite, _ in wanted)]
    cells = {t.label: [cell(entry_of(t, DOMAIN, c), DOMAIN, c) for c in columns] for t in shown}
    kept = [i for i in range(len(columns)) if any(cells[t.label][i].mean for t in shown)]
    there = [t for t in shown if any(cells[t.label][i].mean for i in kept if not columns[i].cost)]
    order = sorted(there, key=lambda t: (*(_mean(t, name, by_suite) for name in (PRICE, COST)), natural(t.label)))
    lines = tuple(Line(t, tuple(cells[t.label][i] for i in kept), tuple(positions(t.run)), minutes(t)) for t in order)
    found = tuple(columns[i] for i in kept)
    return Table(found, lines, tuple(_missing(by_suite, found, order)), tuple(_fronts(by_suite, found, order)))


def _column(by_suite: Mapping[str, Board], suite: str, name: str) -> Column | None:
    """A cost is that of any suite that measured it."""
    boards = by_suite.values() if name == COST else [by_suite[suite]] if suite in by_suite else []
    board = next((b for b in boards if name in b.metrics), None)
    return Column(board.suite, board.metrics[name], board.about.get(name, "")) if board else None


def _mean(tokenizer: Tokenizer, name: str, by_suite: Mapping[str, Board]) -> float:
    suite = next(suite for found in SHOWN.values() for suite, other in found if other == name)
    column = _column(by_suite, suite, name)
    entry = entry_of(tokenizer, DOMAIN, column) if column else None
    summary = entry.summaries.get((DOMAIN, name)) if entry else None
    return math.inf if summary is None or math.isnan(summary.mean) else summary.mean


def positions(run: Kept) -> list[Cell]:
    """What 30 s take in each layout; of one that the tokenizer does not have, nothing."""
    found = {layout.name: layout for layout in layouts(spec_of(run))}
    return [Cell(f"{found[name].positions(SECONDS):,}") if name in found else NOTHING for name in LAYOUTS]


def minutes(tokenizer: Tokenizer) -> Cell:
    """The CPU time that its run of the suite lm took."""
    if (entry := tokenizer.entries.get("lm")) is None:
        return NOT_RUN
    seconds = noted(entry.run.record, CPU_SECONDS)
    if seconds is None or math.isnan(seconds):
        return Cell(state="not run", why="not in one go since runs note their time")
    return Cell(f"{seconds / 60:.1f}")


def spec_of(run: Kept) -> Spec:
    """As much of its spec as layouts need, from what the run states."""
    facts = run.tokenizer
    books = tuple(Codebook(size, math.nan if rate is None else rate) for size, rate in facts["codebooks"])
    side = tuple(Codebook(size, rate) for size, rate, *_ in facts.get("side", ()))
    return Spec(facts["name"], facts["variant"], facts["sample_rate"], books, side=side)


def _fronts(by_suite: Mapping[str, Board], columns: Sequence[Column], shown: Sequence[Tokenizer]) -> Iterator[str]:
    """Of each column that ranks, a line with the tokenizers that no cheaper one is as good as, and what is told apart from chance."""
    prices = {t.label: price for t in shown if math.isfinite(price := _mean(t, PRICE, by_suite))}
    names = {t.label: t.shown for t in shown}
    ranked = {name for group in RANKED for _, name in SHOWN[group]}
    scored: list[tuple[Metric, Sequence[Priced]]] = []
    for column in columns:
        if column.metric.name in ranked and column.metric.better in ("higher", "lower"):
            means = [(t, _mean(t, column.metric.name, by_suite)) for t in shown if t.label in prices]
            runs = [Priced(t.entries[column.suite].run, prices[t.label], mean) for t, mean in means if math.isfinite(mean)]
            if len(runs) > 1:
                scored.append((column.metric, runs))
    return (_front(found, names) for found in fronts(DOMAIN, scored))


def _front(front: Front, names: Mapping[str, str]) -> str:
    """One line: members, who is beaten beyond chance, and how it was tested where it was not by clips."""
    leaders, others = ([s for s in front.standings if s.leads is leads] for leads in (True, False))
    members = [f"{names[s.of.run.label]} ({_shown(front.metric, s.of.mean)} for {s.of.price:.0f} bit/s{TOLD[s.told]})" for s in leaders]
    parts = [f"{front.metric.name}: {', '.join(members)}"]
    if any(s.told is not None for s in others):
        beaten = [names[s.of.run.label] for s in others if s.told]
        found = f"{formats.few(beaten)} ({len(beaten)} of {len(others)})" if beaten else f"none of {len(others)}"
        parts.append(f"beaten, told apart: {found}")
    return "; ".join([*parts, *([front.note] if front.note else [])])


def _shown(metric: Metric, mean: float) -> str:
    return formats.cell(Summary(DOMAIN, metric.name, mean, math.nan, math.nan, 1, 0), metric)


def _missing(by_suite: Mapping[str, Board], columns: Sequence[Column], shown: Sequence[Tokenizer]) -> list[str]:
    """A line for each suite without runs, for columns that its runs do not have, and for tokenizers that it has no run of."""
    lines = []
    for suite in dict.fromkeys(suite for found in SHOWN.values() for suite, _ in found):
        names = [
            name for found in SHOWN.values() for other, name in found if other == suite and name not in {c.metric.name for c in columns}
        ]
        if suite not in by_suite:
            lines.append(f"no runs of the suite {suite}, so no {', '.join(names)}: bench leaderboard --run {suite} makes them")
            continue
        if names:
            lines.append(f"no score in the runs of {suite}: {', '.join(names)}")
        if without := [t.label for t in shown if suite not in t.entries]:
            lines.append(f"no run of {suite}: {formats.few(without)}")
    return lines


def render(boards: Sequence[Board], tokenizers: Sequence[Tokenizer], links: shell.Links, data: str) -> str:
    """The page. `data`: the address of the numbers that plots are drawn from."""
    found = table(boards, tokenizers)
    ids = [c.id for c in found.columns]
    return shell.render(
        "language_models.html.j2",
        title="Audio tokens for language models",
        path=PATH,
        links=links,
        scripts=("state.js", "tables.js", "plots.js"),
        data=[data],
        found=found,
        layouts=list(LAYOUTS.values()),
        about_layouts=ABOUT_LAYOUTS,
        minutes=MINUTES if any(line.minutes.mean for line in found.lines) else "",
        about_minutes=ABOUT_MINUTES,
        x=f"lm/{PRICE}" if f"lm/{PRICE}" in ids else COST,
        y=next((name for name in KEPT if name in ids), ids[-1] if ids else ""),
        kinds=[(kind, words) for kind, words in front.KINDS.items() if any(line.tokenizer.kind == kind for line in found.lines)],
        href={line.tokenizer.label: shell.address(shell.tokenizer_path(line.tokenizer.label)) for line in found.lines},
        about_fronts=ABOUT_FRONTS,
        notes=marks.line(marks.of_run(line.tokenizer.run) for line in found.lines),
    )


def to_markdown(boards: Sequence[Board]) -> str:
    """The table and what is missing, for README files; "" where there is nothing to show."""
    found = table(boards, front.tokenizers(boards))
    if not found.lines:
        return ""
    header = ["tokenizer", *(f"{c.metric.name}{f' {c.arrow}' * bool(c.arrow)}" for c in found.columns), *LAYOUTS.values()]
    lines = [[line.tokenizer.shown, *(one.mean or one.state for one in (*line.cells, *line.positions))] for line in found.lines]
    ranks = [". ".join(ABOUT_FRONTS), *found.fronts] if found.fronts else []
    notes = [*marks.line(marks.of_run(line.tokenizer.run) for line in found.lines), *ranks, *found.missing]
    out = io.StringIO()
    formats.to_markdown([(f"{DOMAIN}; the last four: positions for {SECONDS:g} s", header, lines)], notes, out)
    return out.getvalue()
