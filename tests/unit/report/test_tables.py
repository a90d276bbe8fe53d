"""Tables: what is missing is shown, what is untrained is called so, a name is never markup."""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench import registry
from bench.api import Clip, Data, Row, Suite, Variant
from bench.records.digest import digest
from bench.records.finished import Run
from bench.report.tables import cell, grids, notes, to_csv, to_markdown, to_terminal
from bench.statistics.bootstrap import Summary

SUITE = registry.load_suite("reconstruction")
CLIPS = tuple(Clip(f"c{i}", Path("x"), "", "speech", f"s{i}") for i in range(3))


ROWS = [
    *(Row(f"c{i}", "speech", f"s{i}", "stoi", value) for i, value in enumerate((0.5, 0.6))),
    Row("c2", "speech", "s2", "stoi", math.nan, note="silent reference"),
    Row("*", "speech", "", "kbps_nominal", 128.0),
]


def run(name: str = "mulaw", rows: list[Row] = ROWS, **spec: object) -> Run:
    variant = registry.variant(name)
    return of(rows, replace(variant, spec=replace(variant.spec, **spec)))


def of(rows: list[Row], variant: Variant, suite: Suite = SUITE) -> Run:
    return Run(variant, suite, Data("d", CLIPS, "0" * 64), digest(rows, suite.metrics), Path("."), 3)


def terminal(runs: list[Run], width: int = 140) -> str:
    out = io.StringIO()
    to_terminal(runs, Console(file=out, width=width))
    return out.getvalue()


def test_a_missing_score_is_counted_in_its_cell_and_its_reason_stands_below() -> None:
    text = terminal([run()])
    assert "0.550 -1" in text and "speech: 2 speakers: too few for an interval or a test, 5 are needed" in text
    assert "mulaw@8bit: 1 clip without stoi: silent reference" in text


def test_the_csv_has_counts_and_all_digits() -> None:
    out = io.StringIO()
    to_csv([run()], out)
    line = next(line for line in csv.DictReader(io.StringIO(out.getvalue())) if line["metric"] == "stoi")
    assert (line["n"], line["n_missing"], float(line["mean"])) == ("2", "1", (0.5 + 0.6) / 2)


def test_a_csv_has_the_plain_share_and_its_unit_where_the_table_has_per_cent() -> None:
    stoi = replace(next(m for m in SUITE.metrics if m.name == "stoi"), unit="share")
    one = of([row for row in ROWS if row.metric == "stoi"], registry.variant("mulaw"), replace(SUITE, metrics=(stoi,)))
    out = io.StringIO()
    to_csv([one], out)
    (line,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert (line["unit"], float(line["mean"])) == ("share", (0.5 + 0.6) / 2)
    ((_, _, lines),) = grids([one], 140, ["stoi"])
    assert lines == [["stoi (%) ↑", "55.0 -1"]]


def test_untrained_weights_are_called_untrained() -> None:
    assert "mulaw@8bit (untrained)" in terminal([run(weights="seed:0"), run()])


def test_a_name_is_never_markup() -> None:
    assert "[red]<script>@8bit" in terminal([_named("[red]<script>")])


def _named(name: str) -> Run:
    one = run()
    return replace(one, variant=replace(one.variant, spec=replace(one.variant.spec, name=name)))


def test_a_bar_in_a_name_does_not_break_markdown() -> None:
    out = io.StringIO()
    to_markdown([_named("a|b"), run()], out)
    assert "a\\|b@8bit" in out.getvalue()


def test_several_tokenizers_stand_below_each_other_in_tables_that_fit() -> None:
    for width in (60, 100, 200):
        assert (
            max(len(line.rstrip()) for line in terminal([run(), run("opus")], width).splitlines() if "stoi" in line or "0.550" in line)
            <= width
        )
    (grid,) = grids([run(), run("opus")], 200, ["stoi"])
    assert grid[1] == ["tokenizer", "stoi ↑"] and [line[0] for line in grid[2]] == ["mulaw@8bit", "opus@6kbps"]


def test_an_interval_that_rounds_to_nothing_is_left_out() -> None:
    stoi = next(m for m in SUITE.metrics if m.name == "stoi")
    assert cell(Summary("speech", "stoi", -0.0001, math.nan, math.nan, 3, 0), stoi) == "0.000"
    assert cell(Summary("speech", "stoi", 1.0, 0.99999, 1.0, 3, 0), stoi) == "1.000"
    assert cell(Summary("speech", "stoi", math.nan, math.nan, math.nan, 0, 3), stoi) == "–"
    assert cell(None, stoi) == ""


def test_a_missing_value_of_the_whole_corpus_has_its_reason_below() -> None:
    rows = [Row("*", d, "", m, math.nan, note="variable rate") for d in ("music", "speech") for m in ("kbps_entropy", "kbps_nominal")]
    assert "mulaw@8bit: kbps_nominal, kbps_entropy of speech, music: variable rate" in notes([run(rows=rows)])


def test_of_many_columns_with_one_reason_five_are_named() -> None:
    missing = [Row("c0", "speech", "s0", m.name, math.nan, note="no") for m in SUITE.metrics[:8]]
    text = notes([run(rows=missing)])[1]
    assert text == "mulaw@8bit: 1 clip without " + ", ".join(sorted(m.name for m in SUITE.metrics[:8])[:5]) + " and 3 more: no"


def test_notes_say_what_was_run() -> None:
    assert notes([run()])[0].startswith("reconstruction v2 on d (3 clips, sha256 00000000)")
