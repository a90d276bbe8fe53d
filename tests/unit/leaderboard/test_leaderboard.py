"""`bench leaderboard`: boards are what the rows say, and nothing enters that is not what bench run wrote."""

import csv
import hashlib
import io
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import registry
from bench.api import UserError
from bench.cli import main
from bench.leaderboard import aggregate, csv_markdown, front, plots, submission
from bench.leaderboard.build import Places, check, write
from bench.records import reader
from bench.records.writer import key_of
from tests.conftest import ROOT
from tests.runs import keep, speech

GOOD = speech({"quality": [3.0, 3.5, 2.5, 4.0, 3.25, 3.25], "kbps_packed": [1.0, 1.1, 1.0, 0.9, 1.0, 1.0]}, speakers=6)
NaN = math.nan


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Two runs of one suite, and where their boards go."""
    keep(tmp_path / "results", "opus@12kbps", GOOD)
    keep(tmp_path / "results", "opus@6kbps", speech({"quality": [2.0, NaN, 1.5, 3.0, 2.0, 2.0], "kbps_packed": [0.5] * 6}, speakers=6))
    return Places(tmp_path / "results", tmp_path / "boards", tmp_path / "README.md")


def made(places: Places) -> list[str]:
    return list(write(places, audio=False))


def lines(places: Places, suite: str = "toy") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((places.out / f"{suite}.csv").read_text())))


def bench(*words: object) -> int:
    return main(["leaderboard", *map(str, words)])


def test_a_board_has_a_line_a_tokenizer_with_means_intervals_and_counts(places: Places) -> None:
    made(places)
    first, second = lines(places)
    assert [first["tokenizer"], second["tokenizer"]] == ["opus@6kbps", "opus@12kbps"], "6 sorts before 12"
    assert math.isclose(float(first["speech.quality"]), 10.5 / 5, rel_tol=1e-5)
    assert (first["speech.quality.n"], first["speech.quality.n_missing"]) == ("5", "1")
    assert float(second["speech.quality"]) == 3.25
    assert float(second["speech.quality.low"]) < 3.25 < float(second["speech.quality.high"])
    assert first["fingerprint"] == second["fingerprint"] and first["run"] != second["run"]


def test_the_front_page_says_which_suite_was_measured_on_which_data(places: Places) -> None:
    keep(places.results, "opus@6kbps", GOOD, suite="other")
    made(places)
    said = (places.out / "index.html").read_text().split("Measured: ")[1].split(".</p>")[0]
    assert said == "other, toy on toys (6 clips)"


def test_a_share_is_plain_in_the_csv_whose_unit_stands_in_columns_csv_and_per_cent_in_the_tables_and_plots(places: Places) -> None:
    made(places)
    for path in places.results.rglob("run.json"):
        record = json.loads(path.read_text())
        next(m for m in record["metrics"] if m["name"] == "quality")["unit"] = "share"
        path.write_text(json.dumps(record))
    before = lines(places)[1]["speech.quality"]
    made(places)
    assert lines(places)[1]["speech.quality"] == before == "3.25"
    columns = list(csv.DictReader(io.StringIO((places.out / "columns.csv").read_text())))
    assert [(c["suite"], c["unit"]) for c in columns if c["column"] == "quality"] == [("toy", "share")]
    table, page = (places.out / "README.md").read_text(), (places.out / "index.html").read_text()
    assert "quality (%) ↑" in table and "325" in table and "<small>%</small>" in page
    boards = aggregate.fold(places.results)
    numbers = plots.numbers(boards, front.tokenizers(boards))
    (metric,) = (m for m in json.loads(json.dumps(numbers))["metrics"] if m["name"] == "quality")
    assert (metric["unit"], metric["domains"]["speech"][1][0]) == ("%", 325.0)


def test_the_same_runs_give_the_same_bytes(places: Places) -> None:
    made(places)
    before = {path: path.read_bytes() for path in places.out.rglob("*") if path.is_file()}
    assert before and made(places) == []
    shutil.rmtree(places.out)
    made(places)
    assert before == {path: path.read_bytes() for path in places.out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["toy.csv", "columns.csv", "README.md", "index.html", "suites/toy.html", "tokenizers/opus@12kbps.html"])
def test_a_board_changed_by_hand_is_stale(places: Places, name: str) -> None:
    made(places)
    assert check(places) == []
    path = places.out / name
    path.write_text(path.read_text().replace("3.25", "4.99") + "\n")
    assert check(places) == [f"stale: {path}"]


def test_a_new_run_makes_the_boards_stale_and_one_taken_away_takes_its_board_along(places: Places) -> None:
    made(places)
    folder = keep(places.results, "opus@24kbps", GOOD, suite="toy2")
    assert any("toy2.csv" in line for line in check(places))
    made(places)
    assert (places.out / "toy2.csv").exists() and check(places) == []
    shutil.rmtree(folder)
    assert any("without runs" in line for line in check(places))
    made(places)
    assert not (places.out / "toy2.csv").exists()


def test_the_readme_has_the_table_that_its_line_asks_for(places: Places) -> None:
    places.readme.write_text("before\n<!-- board: toy speech | kbps_packed quality | opus@12kbps -->\nold\n<!-- /board -->\nafter\n")
    made(places)
    text = places.readme.read_text()
    assert text.startswith("before\n<!-- board: toy") and text.endswith("<!-- /board -->\nafter\n") and "old" not in text
    assert "| opus@12kbps | 1.000" in text and "opus@6kbps" not in text and text.index("kbps_packed ↓") < text.index("quality ↑")
    places.readme.write_text(text.replace("3.25", "4.00"))
    assert check(places) == [f"stale: {places.readme}"]
    elsewhere = "<!-- board: toy@elsewhere speech | speed | nobody -->\nof the boards on other data\n<!-- /board -->\n"
    here = text.replace("board: toy ", "board: toy@toys ")
    places.readme.write_text(elsewhere + here.replace("3.25", "4.00"))
    made(places)
    assert places.readme.read_text() == elsewhere + here


def test_a_readme_that_asks_for_what_no_board_has_is_refused(places: Places) -> None:
    for line, said in (
        ("toy speech | speed | opus@6kbps", "no speed"),
        ("toy speech | quality | mimi@mini", "no mimi@mini"),
        ("x speech | a | b", "no board"),
    ):
        places.readme.write_text(f"<!-- board: {line} -->\n<!-- /board -->\n")
        with pytest.raises(UserError, match=said):
            made(places)


def spoiled_rows(folder: Path) -> None:
    path = folder / "rows.csv"
    path.write_text(path.read_text().replace(",3.5,", ",4.5,"))


def spoiled_identity(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    record["identity"]["version"] = 2
    (folder / "run.json").write_text(json.dumps(record))


def without_seal(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    del record["rows_sha256"]
    (folder / "run.json").write_text(json.dumps(record))


def other_name(folder: Path) -> None:
    folder.rename(folder.with_name("mimi@mini-" + folder.name[-8:]))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoiled_rows, "not what the run wrote"),
        (spoiled_identity, "changed by hand"),
        (without_seal, "rows_sha256"),
        (other_name, "the name that bench run gave it"),
    ],
)
def test_a_run_that_was_changed_by_hand_enters_no_board(places: Places, spoil: Callable[[Path], None], said: str) -> None:
    spoil(next(places.results.glob("toy/opus@12kbps-*")))
    with pytest.raises(UserError, match=said):
        made(places)
    assert not places.out.exists()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"weights": "seed:0"}, "untrained"),
        ({"clips": 9}, "have not run yet"),
        ({"data": "e" * 64}, "data sha256"),
        ({"seed": 3}, "seed"),
    ],
)
def test_a_run_that_cannot_stand_beside_the_others_enters_no_board(places: Places, facts: dict, said: str) -> None:
    keep(places.results, "mimi@mini", GOOD, **facts)
    with pytest.raises(UserError, match=said):
        made(places)


def test_a_run_without_the_rows_that_failed_enters_no_board(places: Places) -> None:
    keep(places.results, "mimi@mini", speech({"quality": [3.0, 3.5, 2.5, 3.0, 3.0], "kbps_packed": [1.0] * 6}, speakers=6))
    with pytest.raises(UserError, match="lacks 1 rows"):
        made(places)


def test_a_timed_run_names_its_machine(tmp_path: Path) -> None:
    machine = {"device": "cpu", "processor": "Abacus 3", "threads": 1, "torch": "2.13"}
    keep(tmp_path / "results", "opus@12kbps", GOOD, sweep="small", machine=machine)
    places = Places(tmp_path / "results", tmp_path / "boards", tmp_path / "README.md")
    made(places)
    (line,) = lines(places)
    assert line["machine"] == "Abacus 3 (cpu), 1 thread, torch 2.13"
    assert "timed on Abacus 3" in (places.out / "README.md").read_text()


def test_two_runs_of_one_tokenizer_are_refused(places: Places) -> None:
    keep(places.results, "opus@6kbps", GOOD, weights="sha256:" + "0" * 64)
    with pytest.raises(UserError, match="2 runs"):
        made(places)


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a true tokenizer on the embedded corpus."""
    root = tmp_path_factory.mktemp("real")
    command = ["run", "--tokenizer", "mulaw", "--suite", "codes", "--limit", "3", "--workers", "1", "--results", root]
    subprocess.run([sys.executable, "-m", "bench", *map(str, command)], check=True, capture_output=True, cwd=ROOT)
    return next(root.glob("codes/*/run.json")).parent


@pytest.fixture
def submitted(real_run: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(real_run, tmp_path / "codes" / real_run.name))


def resealed(folder: Path, change: Callable[[dict, str], str]) -> None:
    """A run that somebody changed and who then made everything fit."""
    record, rows = json.loads((folder / "run.json").read_text()), (folder / "rows.csv").read_text()
    rows = change(record, rows)
    record["key"], record["rows_sha256"] = key_of(record["identity"]), hashlib.sha256(rows.encode()).hexdigest()
    (folder / "run.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    (folder / "rows.csv").write_text(rows)


def test_a_true_run_is_added_once_and_an_older_one_of_its_tokenizer_goes(submitted: Path, tmp_path: Path) -> None:
    results = tmp_path / "boards"
    older = results / "codes" / "mulaw@8bit-00000000"
    shutil.copytree(submitted, older)
    place = submission.add(submission.checked(submitted), results)
    assert sorted(path.name for path in place.iterdir()) == ["rows.csv", "run.json"] and not older.exists()
    assert [path.name for path in (results / "codes").iterdir()] == [submitted.name]
    assert submission.add(submission.checked(place), results) == place
    (board,) = aggregate.fold(results)
    assert "mulaw@8bit" in csv_markdown.to_csv(board)


def change(path: str, value: object) -> Callable[[dict, str], str]:
    def act(record: dict, rows: str) -> str:
        *parents, last = path.split("/")
        for name in parents:
            record = record[name]
        record[last] = value
        return rows

    return act


def rows(old: str, new: str) -> Callable[[dict, str], str]:
    def act(record: dict, text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return act


def first_row(metric: str, value: str) -> Callable[[dict, str], str]:
    def act(record: dict, text: str) -> str:
        found = next(line for line in text.splitlines() if f",{metric}," in line)
        cells = found.split(",")
        return text.replace(found, ",".join([*cells[:4], value, *cells[5:]]))

    return act


def better(record: dict, text: str) -> str:
    next(m for m in record["metrics"] if m["name"] == "codebook_utilization")["better"] = "lower"
    return text


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("identity/tokenizer", "mimi"),
        ("identity/tokenizer/name", "a\nb"),
        ("identity/tokenizer/codebooks", []),
        ("identity/tokenizer/codebooks", [[0, 50]]),
        ("identity/tokenizer/decodes", "yes"),
        ("identity/version", "1"),
        ("identity/seed", None),
        ("metrics", [{"name": "codebook_utilization"}]),
        ("metrics", {}),
        ("clips", -1),
        ("headline", [1]),
        ("commit", 7),
    ],
)
def test_a_record_of_another_shape_is_refused_in_one_line(submitted: Path, path: str, value: object) -> None:
    resealed(submitted, change(path, value))
    with pytest.raises(UserError, match="run.json: .* is not what bench run writes"):
        submission.checked(submitted)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (change("identity/version", 99), "v99"),
        (change("identity/suite", "toys"), "no suite"),
        (change("identity/data", "0" * 64), "not the bundled mini"),
        (change("identity/resampler", "linear"), "resampler"),
        (change("identity/tokenizer/weights", "sha256:1"), "weights"),
        (change("identity/tokenizer/codebooks", [[2, 50]]), "codebooks"),
        (change("identity/tokenizer/name", "nobody"), "no tokenizer"),
        (change("identity/code", "0" * 64), "another tokenizer"),
        (change("identity/judge", "me"), "evaluator"),
        (better, "metrics are not those"),
        (first_row("kbps_packed", "-3.0"), "outside of 0..inf"),
        (first_row("kbps_packed", "inf"), "outside of"),
        (first_row("kbps_packed", "nan"), "without a reason"),
        (first_row("kbps_nominal", "0.5"), "codebooks make 128"),
        (rows(",kbps_packed,", ",kbps_brilliant,"), "no column of codes"),
        (rows("speech_", "talk_"), "none of mini"),
    ],
)
def test_a_run_that_was_forged_to_fit_is_refused_by_what_can_be_computed(
    submitted: Path, act: Callable[[dict, str], str], said: str
) -> None:
    submission.checked(submitted)
    resealed(submitted, act)
    with pytest.raises(UserError, match=said):
        submission.checked(submitted)


def test_scores_that_were_invented_and_sealed_are_not_found_again(submitted: Path) -> None:
    submission.checked(submitted, again=True)
    resealed(submitted, first_row("kbps_packed", "64.0"))
    submission.checked(submitted)
    with pytest.raises(UserError, match="1 scores are not reproduced here, e.g. kbps_packed of .*: 64 there, 128"):
        submission.checked(submitted, again=True)


def test_new_weights_make_a_board_stale(submitted: Path, tmp_path: Path) -> None:
    assert submission.outdated(submission.checked(submitted)) == ""
    resealed(submitted, change("identity/tokenizer/weights", "sha256:1"))
    assert "weights (sha256:1, not none)" in submission.outdated(reader.read(submitted))


def test_a_submission_is_recomputed_and_says_who_made_it_and_what_it_lacks(
    submitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--add", submitted, "--results", tmp_path / "b", "--out", tmp_path / "o", "--readme", tmp_path / "x", "--no-audio"]
    assert bench(*words) == 2
    assert "a submission needs who submits it: --author" in capsys.readouterr().err and not (tmp_path / "b").exists()
    assert bench(*words, "--author", "A. Name", "--licence", "MIT") == 0
    out, err = capsys.readouterr()
    (record,) = (json.loads(path.read_text()) for path in (tmp_path / "b").glob("codes/*/run.json"))
    source = registry.variant("mulaw").spec.source
    assert record["submission"] == {"author": "A. Name", "licence": "MIT", "source": source, "recomputed": True}
    line = next(line for line in err.splitlines() if line.startswith("mulaw@8bit has no run of asr, "))
    assert "reconstruction" in line and "codes" not in line.split(":")[0]
    resealed(submitted, first_row("kbps_packed", "64.0"))
    assert bench(*words, "--author", "A. Name") == 2 and "not reproduced" in capsys.readouterr().err
    assert bench(*words, "--author", "A. Name", "--no-again") == 0
    (record,) = (json.loads(path.read_text()) for path in (tmp_path / "b").glob("codes/*/run.json"))
    assert record["submission"]["recomputed"] is False
    told = "scores as A. Name submitted them, not recomputed"
    pages = [path for path in (tmp_path / "o").rglob("*.html") if told in path.read_text(encoding="utf-8")]
    assert {path.parent.name for path in pages} == {"suites", "tokenizers"} and told in (tmp_path / "o/README.md").read_text()


def test_a_codec_of_ones_own_names_its_source_and_is_added_without_a_second_run(
    submitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resealed(submitted, change("identity/code", "0" * 64))
    resealed(submitted, change("identity/tokenizer/name", "mine"))
    words = ["--add", submitted, "--results", tmp_path / "b", "--out", tmp_path / "o", "--readme", tmp_path / "x", "--no-audio"]
    resealed(submitted, change("source", ""))
    assert bench(*words, "--author", "A", "--licence", "MIT") == 2 and "needs where the tokenizer is described" in capsys.readouterr().err
    assert bench(*words, "--author", "A", "--licence", "MIT", "--source", "arxiv.org/abs/1") == 2
    assert "a tokenizer in a file of its own cannot be run again here: --no-again adds it" in capsys.readouterr().err
    assert bench(*words, "--author", "A", "--licence", "MIT", "--source", "arxiv.org/abs/1", "--no-again") == 0


WRONG = [
    (["--add", "none"], "no folder of a run"),
    (["--check", "--add", "none"], "writes nothing"),
    (["--again"], "belongs to --add"),
    (["--author", "me"], "--author belongs to --add"),
    (["--tokenizer", "opus"], "belongs to --run"),
    (["--data", "open"], "--data belongs to --run"),
    (["--run", "codes", "--tokenizer", "opuss"], "did you mean 'opus'"),
    (["--run", "reconstrution"], "did you mean 'reconstruction'"),
    (["--run", "reconstruction:whisper"], "has no evaluator"),
    (["--run", "codes:whisper"], "'whisper' is none of units"),
    ([], "no run in"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_what_a_user_gets_wrong_is_told_in_one_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(*words, "--results", tmp_path / "r", "--out", tmp_path / "o", "--readme", tmp_path / "x") == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and said in line


def test_check_ends_with_one_where_a_board_is_stale(places: Places) -> None:
    words = ["--results", places.results, "--out", places.out, "--readme", places.readme]
    assert bench("--check", *words) == 1
    assert bench("--no-audio", *words) == 0
    assert bench("--check", *words) == 0
