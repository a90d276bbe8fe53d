"""One table over suites: a line a tokenizer, bitrate first, natural order, references at the foot, one shape of files."""

import csv
import io
import json
from pathlib import Path

import pytest

from bench import registry
from bench.cli import main
from bench.commands.table import FORMATS
from bench.records import reader
from bench.records.selection import alike
from bench.report import tidy
from bench.report.formats import Second, Strong, fitted
from bench.report.overview import Overview, grids, notes, overview

ROOT = Path(__file__).resolve().parents[3]
BOARDS = ROOT / "results" / "boards"


@pytest.fixture(scope="module")
def table() -> Overview:
    found = [reader.read(f) for f in reader.folders(BOARDS, ["reconstruction", "asr"])]
    wanted = ("opus@6kbps", "opus@12kbps", "opus@24kbps", "identity@float32", "dac@mini")
    return overview(alike(run for run in found if run.label in wanted))


def bench(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_bitrate_comes_first_and_every_suite_has_its_columns(table: Overview) -> None:
    ((_, header, _),) = grids(table, ["speech"])
    assert header[:3] == ["tokenizer", "kbps_packed ↓", "tokens_per_s ↓"]
    assert "pesq_wb ↑" in header and any(name.startswith("wer_") for name in header)


def test_rates_are_in_their_natural_order_and_references_are_apart_at_the_foot(table: Overview) -> None:
    ((_, _, lines),) = grids(table, ["speech"])
    assert [line[0] if line else "" for line in lines] == ["dac@mini†", "opus@6kbps", "opus@12kbps", "opus@24kbps", "", "identity@float32"]


def test_the_best_is_bold_the_second_underlined_and_neither_a_bitrate_nor_a_reference(table: Overview) -> None:
    ((_, header, lines),) = grids(table, ["speech"])
    at = header.index("pesq_wb ↑")
    cells = {line[0]: line for line in lines if line}
    assert isinstance(cells["opus@24kbps"][at], Strong) and isinstance(cells["opus@12kbps"][at], Second)
    assert not any(isinstance(cell, Strong | Second) for cell in cells["identity@float32"])
    assert not any(isinstance(line[1], Strong | Second) for line in cells.values())


def test_notes_name_the_suites_that_are_shown_and_no_others(table: Overview) -> None:
    assert [line.split()[0] for line in notes(table)[:2]] == ["reconstruction", "asr"]
    short = overview(table.runs, ["pesq_wb"])
    assert not any(line.startswith("asr") for line in notes(short))


def test_a_wide_table_is_cut_into_tables_that_fit_each_with_the_names(table: Overview) -> None:
    ((caption, header, lines),) = grids(table, ["speech"], intervals=True)
    parts = fitted((caption, header, lines), 80)
    assert len(parts) > 1 and [name for _, head, _ in parts for name in head[1:]] == header[1:]
    assert all(part[1][0] == "tokenizer" and part[2][0][0] == "dac@mini†" for part in parts)


@pytest.mark.parametrize("style", FORMATS)
def test_bench_table_writes_every_format(capsys: pytest.CaptureFixture[str], style: str) -> None:
    words = ("table", "opus@*", "--results", BOARDS, "--suite", "reconstruction", "--domain", "speech", "--format", style)
    code, out, _ = bench(capsys, *words, "--columns", "kbps_packed,stoi")
    assert code == 0 and "opus@6kbps" in out and "stoi" in out


def test_latex_has_caption_label_bold_and_underline(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("table", "opus@*", "dac@mini", "--results", BOARDS, "--domain", "speech", "--format", "latex", "--columns", "stoi")
    out = bench(capsys, *words, "--caption", "Main 5%", "--label", "tab:main")[1]
    assert "\\caption{Main 5\\%}" in out and "\\label{tab:main}" in out and "dac@mini$^\\dagger$" in out
    assert out.count("\\textbf{") == 1 == out.count("\\underline{") and "\\footnotesize $^\\dagger$ trained by this project" in out


def test_csv_has_one_shape_and_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("opus@*", "mimi@mini", "--results", BOARDS, "--format", "csv", "--columns", "kbps_nominal,stoi,pesq_wb")
    table = list(csv.DictReader(io.StringIO(bench(capsys, "table", *words)[1])))
    compared = list(csv.DictReader(io.StringIO(bench(capsys, "compare", *words, "--suite", "reconstruction")[1])))
    assert tuple(table[0]) == tidy.COLUMNS == tuple(compared[0])[: len(tidy.COLUMNS)]
    key = ("tokenizer", "domain", "metric")
    same = {tuple(line[k] for k in key): line for line in compared}
    assert all(same[tuple(line[k] for k in key)]["mean"] == line["mean"] for line in table)
    assert not any(cell.lower() == "nan" for line in (*table, *compared) for cell in line.values())
    assert any(line["metric"] == "kbps_nominal" and line["mean"] == "" for line in table)


def test_json_holds_the_lines_of_the_csv_and_the_notes(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("table", "opus@*", "--results", BOARDS, "--columns", "stoi")
    whole = json.loads(bench(capsys, *words, "--format", "json")[1])
    lines = list(csv.DictReader(io.StringIO(bench(capsys, *words, "--format", "csv")[1])))
    assert [line["mean"] for line in whole["lines"]] == [float(line["mean"]) for line in lines] and whole["notes"]


def test_compare_tests_no_bitrate_and_shows_the_headline_unless_asked_for_more(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("compare", "opus@*", "--results", BOARDS, "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(bench(capsys, *words)[1])))
    suite = registry.load_suite("reconstruction")
    assert {line["metric"] for line in lines} == set(suite.headline)
    assert not any(line["p"] or line["rank"] for line in lines if line["metric"] in ("kbps_packed", "tokens_per_s"))
    every = {line["metric"] for line in csv.DictReader(io.StringIO(bench(capsys, *words, "--columns", "all")[1]))}
    assert every == {m.name for m in suite.metrics if not (m.raw or m.cut)}
    assert "more columns: --columns all" in " ".join(bench(capsys, *words[:-2])[1].split())


@pytest.mark.parametrize("name", registry.suites())
def test_headline_and_overview_are_columns_of_the_suite(name: str) -> None:
    suite = registry.load_suite(name)
    known = {m.name for m in suite.metrics}
    assert set(suite.headline) <= known and set(suite.overview) <= known


def test_runs_that_did_not_end_or_are_on_other_data_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.runs import keep, speech

    for label in ("a@1", "b@1"):
        keep(tmp_path, label, speech({"quality": [1.0, 2.0, 3.0]}, speakers=2))
    keep(tmp_path, "a@1", speech({"quality": [1.0, 2.0, 3.0]}, speakers=2), data="1" * 64)
    _, out, err = bench(capsys, "table", "--results", tmp_path)
    assert not err
    assert "left out: 1 older run, or on other data" in out and "a@1" in out and "b@1" in out
    assert bench(capsys, "table", "--results", tmp_path, "--data", "nothing")[0] == 2
