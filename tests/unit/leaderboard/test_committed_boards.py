"""The boards of this repository, and the table of its README, are those of the committed runs."""

import csv
import json
import re
from pathlib import Path

import pandas
import pytest

from bench.leaderboard import parquet
from bench.leaderboard.aggregate import fold
from bench.leaderboard.build import Places, check
from tests.conftest import ROOT

PLACES = Places(ROOT / "results" / "boards", ROOT / "leaderboards", ROOT / "README.md")


OPEN = Places(ROOT / "results" / "open", ROOT / "leaderboards" / "open", ROOT / "README.md")


@pytest.mark.parametrize("places", [PLACES, OPEN], ids=["bundled", "open"])
def test_the_committed_boards_are_what_their_runs_say(places: Places) -> None:
    assert check(places) == [], "make them again with make boards"


def test_every_board_has_the_floor_and_the_ceiling_and_a_codec_that_is_trained() -> None:
    for board in fold(PLACES.results):
        labels = {entry.label for entry in board.entries}
        codes = {"lm": {"random_codes@1024"}, "pairs": {"random_codes@1024", "phone_labels@150hz"}}  # samples are no codes to model
        ends = codes.get(board.suite, {"identity@float32", "shuffled@float32"})
        assert {*ends, "mimi@mini"} <= labels, board.suite


def test_the_folders_of_the_boards_stay_small() -> None:
    sizes = {path: path.stat().st_size for path in PLACES.out.rglob("*") if path.is_file()}
    real = sum(size for path, size in sizes.items() if OPEN.out in path.parents)
    assert 0 < real < 5_000_000 and sum(sizes.values()) - real < 10_000_000


def test_results_csv_is_one_table_that_pandas_reads_and_that_a_dataset_hub_is_pointed_at() -> None:
    _, front, _ = (PLACES.out / "README.md").read_text().split("---\n", 2)
    assert [PLACES.out / line.split(": ")[1] for line in front.splitlines() if "data_files" in line] == [PLACES.out / "results.csv"]
    found = pandas.DataFrame(pandas.read_csv(PLACES.out / "results.csv"))
    assert len(found) > 5000 and int(found.duplicated(["tokenizer", "suite", "domain", "metric"]).sum()) == 0
    assert all(pandas.api.types.is_numeric_dtype(found[name]) for name in ("mean", "low", "high", "n", "n_missing", "trained"))
    (mean,) = found.query("tokenizer == 'mimi@mini' and suite == 'reconstruction' and domain == 'speech' and metric == 'pesq_wb'")["mean"]
    assert 1 < float(mean) < 2


def test_results_parquet_is_the_table_of_results_csv(tmp_path: Path) -> None:
    text = (PLACES.out / "results.csv").read_text()
    binary = tmp_path / parquet.NAME
    assert not parquet.current(binary, text)
    parquet.write(binary, text)
    assert parquet.current(binary, text) and not parquet.current(binary, text.replace("mimi@mini,", "mimi@maxi,", 1))
    binary.write_bytes(binary.read_bytes()[:1000])
    assert not parquet.current(binary, text), "a torn file is no table"
    assert parquet.current(PLACES.out / parquet.NAME, text)


def test_the_first_screen_of_the_readme_is_the_board() -> None:
    first = (ROOT / "README.md").read_text().splitlines()[:30]
    assert any(line.startswith("<!-- board: reconstruction") for line in first) and any("| mimi@mini† |" in line for line in first)


def test_every_interval_of_the_boards_is_possible_and_no_cell_says_minus_zero() -> None:
    for board in fold(PLACES.results):
        for entry in board.entries:
            for (_, name), found in entry.summaries.items():
                low, high = board.metrics[name].span
                assert not found.low < low and not found.high > high, (board.suite, entry.label, name)
        lines = list(csv.reader((PLACES.out / f"{board.suite}.csv").read_text().splitlines()))
        assert not [cell for line in lines for cell in line if cell in ("-0", "-0.0")], board.suite


def test_a_codec_that_states_its_delay_has_raw_columns_and_is_compared_without_it() -> None:
    lines = {line["tokenizer"]: line for line in csv.DictReader((PLACES.out / "reconstruction.csv").read_text().splitlines())}
    codec2, opus = lines["codec2@1200bps"], lines["opus@6kbps"]
    assert float(codec2["speech.stoi"]) > float(codec2["speech.stoi_raw"]) + 0.1 and not opus["speech.stoi_raw"]
    assert float(lines["shuffled@float32"]["speech.pesq_wb"]) < 1.1


@pytest.mark.parametrize("places", [PLACES, OPEN], ids=["bundled", "open"])
def test_the_plot_of_a_tokenizers_page_begins_with_a_column_in_which_it_has_a_score(places: Places) -> None:
    script = (places.out / "assets" / "numbers.js").read_text()
    numbers = json.loads(script.removeprefix("const numbers = ").removesuffix(";\n"))
    begun = {metric["id"]: metric["domains"].get(numbers["domains"][0]) for metric in numbers["metrics"]}
    for place, label in enumerate(numbers["labels"]):
        (y,) = re.findall(r'data-y="([^"]+)"', (places.out / "tokenizers" / f"{label}.html").read_text())
        assert (begun[y] or {place: None})[place] is not None, f"{label}: no {y}"
