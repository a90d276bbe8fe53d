"""Runs on disk: found by any name a user may give, refused in one line where a name or a file says too little."""

import json
from pathlib import Path

import pytest

from bench.api import UserError
from bench.records.choose import choose
from bench.records.reader import names, read, refuse_unlike
from tests.runs import keep, speech

SCORES = speech({"quality": [1.0, 2.0, 3.0]}, speakers=2)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for label in ("opus@6kbps", "opus@12kbps", "mimi@mini", "own@a", "own@b"):
        keep(tmp_path, label, SCORES)
    return tmp_path


def labels(results: Path, *operands: str) -> list[str]:
    return [run.label for run in choose([str(operand) for operand in operands], results, "toy").runs]


def test_a_label_a_family_a_pattern_a_folder_and_a_csv_name_a_run(results: Path) -> None:
    assert labels(results, "opus@6kbps") == ["opus@6kbps"]
    assert labels(results, "mimi") == labels(results, "mimi@mini,") == ["mimi@mini"]
    assert labels(results, "opus") == ["opus@6kbps"]
    assert labels(results, "opus@*", "mimi") == ["opus@6kbps", "opus@12kbps", "mimi@mini"]
    folder = next((results / "toy").glob("mimi*"))
    assert labels(results, str(folder)) == labels(results, str(folder / "rows.csv")) == ["mimi@mini"]
    assert labels(results, "mimi", str(folder), "*@*kbps") == ["mimi@mini", "opus@6kbps", "opus@12kbps"]


def test_a_label_with_odd_characters_is_found_as_it_is_written(results: Path) -> None:
    keep(results, "./mine@a+b [1]", SCORES)
    assert labels(results, "./mine@a+b [1]") == labels(results, "*mine@*") == ["./mine@a+b [1]"]


@pytest.mark.parametrize(
    ("operand", "message"),
    [
        (
            "encodec",
            "no run of encodec (encodec@mini) in {results}/toy: make one with bench run --suite toy --tokenizer encodec@mini",
        ),
        ("own", "own ran in several variants: name one of own@a, own@b, or all of them as 'own@*'"),
        ("./my_codec.py", "./my_codec.py is no run"),
        ("{results}/toy", "{results}/toy is no run"),
        ("{results}/nowhere/rows.csv", "nowhere/run.json: cannot be read"),
    ],
)
def test_a_name_that_says_too_little_is_one_line(results: Path, operand: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        choose([operand.format(results=results)], results, "toy")
    assert message.format(results=results) in str(error.value) and "\n" not in str(error.value)


def test_a_suite_that_never_ran_names_those_that_did(results: Path) -> None:
    with pytest.raises(UserError, match="no run of the suite asr in .*: there are runs of toy: choose with --suite"):
        choose(["mimi"], results, "asr")
    with pytest.raises(UserError, match="make one with bench run"):
        choose(["mimi"], results / "empty", "asr")


def test_a_record_changed_by_hand_is_refused(results: Path) -> None:
    path = next((results / "toy").glob("mimi*")) / "run.json"
    record = json.loads(path.read_text())
    record["identity"]["version"] = 2
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match="its key is not that of its identity"):
        read(path.parent)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "x"}'])
def test_a_record_that_is_none_is_one_line(results: Path, text: str) -> None:
    path = next((results / "toy").glob("mimi*")) / "run.json"
    path.write_text(text)
    with pytest.raises(UserError, match="run.json: (cannot be read|lacks)"):
        read(path.parent)


def test_a_torn_row_names_its_line(results: Path) -> None:
    folder = next((results / "toy").glob("mimi*"))
    (folder / "rows.csv").write_text((folder / "rows.csv").read_text() + "s0/0,speech,s0,qua")
    with pytest.raises(UserError, match="rows.csv:8: not a row"):
        read(folder)


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ({"version": 2}, r"suite version \(1 and 2\)"),
        ({"data": "e" * 64}, r"data sha256 \(dddddddd: toys, 3 clips and eeeeeeee: toys, 3 clips\)"),
        ({"judge": "base sha256:1"}, r"judge \(none and base sha256:1\)"),
        ({"resampler": "other"}, r"resampler \(r and other\)"),
        ({"seed": 5}, r"seed \(0 and 5\)"),
        ({"suite": "toy2"}, r"suite \(toy and toy2\)"),
        ({"budget": 100}, r"budget \(none and 100\)"),
    ],
)
def test_unlike_fingerprints_are_refused_and_named(tmp_path: Path, identity: dict, said: str) -> None:
    runs = [read(keep(tmp_path, "a@1", SCORES)), read(keep(tmp_path / "other", "b@1", SCORES, **identity))]
    with pytest.raises(UserError, match=f"cannot be compared, they differ in {said}: run both alike"):
        refuse_unlike(runs)


def test_tokenizers_may_differ_in_all_that_is_theirs(tmp_path: Path) -> None:
    refuse_unlike([read(keep(tmp_path, "a@1", SCORES)), read(keep(tmp_path, "a@1", SCORES, weights="sha256:1", code="c"))])


def test_runs_of_one_label_are_called_by_their_keys_and_random_weights_untrained(tmp_path: Path) -> None:
    runs = [read(keep(tmp_path, "a@1", SCORES, code=code)) for code in "xy"] + [read(keep(tmp_path, "b@1", SCORES, weights="seed:0"))]
    assert names(runs) == [f"a@1-{runs[0].key}", f"a@1-{runs[1].key}", "b@1 (untrained)"]


def test_columns_keep_the_order_of_their_suite(tmp_path: Path) -> None:
    assert list(read(keep(tmp_path, "a@1", SCORES)).metrics)[:3] == ["quality", "distance", "wer"]
