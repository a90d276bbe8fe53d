"""Which of several runs a command reads: finished, on the data that all have in common, the newest."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.api import UserError
from bench.data.manifests import open_data
from bench.records.choose import Choice, Wish, choose
from bench.records.writer import Store, folder_name
from tests.runs import Scores, keep, made, speech

SCORES = speech({"quality": [1.0, 2.0, 3.0]}, speakers=2)
FEW = speech({"quality": [1.0]}, speakers=2)
OLD, NEW, NEWEST = ({"started": f"202{n}-01-01T00:00:00+00:00"} for n in (4, 5, 6))


def stopped(results: Path, label: str, scores: Mapping[str, Scores], **facts) -> None:
    """A run that was stopped after its first clips: never finished, so never sealed."""
    run = made(label, scores, **facts)
    about = {key: value for key, value in run.record.items() if key not in ("key", "identity")}
    Store(results, run.suite, folder_name(label), dict(run.identity), about).append(run.rows[:2])


def labels(choice: Choice) -> list[str]:
    return [run.label for run in choice.runs]


def test_the_newest_data_that_all_have_in_common_is_taken_and_said(tmp_path: Path) -> None:
    for label in ("mimi@mini", "opus@6kbps"):
        keep(tmp_path, label, SCORES, record=OLD)
    keep(tmp_path, "mimi@mini", FEW, data="e" * 64, record=NEW)
    choice = choose(["mimi", "opus"], tmp_path, "toy")
    assert [run.record["clips"] for run in choice.runs] == [3, 3]
    assert choice.data == "runs on toys (3 clips), sha256 dddddddd"
    assert choice.notes == ["taken: runs on toys (3 clips); there are others on toys (1 clips) (--data, --limit)"]
    keep(tmp_path, "opus@6kbps", FEW, data="e" * 64, record=NEWEST)
    assert [run.record["clips"] for run in choose(["mimi", "opus"], tmp_path, "toy").runs] == [1, 1]


def test_the_data_of_the_suite_comes_before_anything_newer(tmp_path: Path) -> None:
    own = {"suite": "codes", "data": open_data("mini").sha256}
    keep(tmp_path, "mimi@mini", SCORES, record={"data_name": "mini"} | OLD, **own)
    keep(tmp_path, "mimi@mini", FEW, record=NEWEST, suite="codes")
    (run,) = choose(["mimi"], tmp_path, "codes").runs
    assert run.record["data_name"] == "mini"


def test_a_run_that_was_stopped_is_never_taken(tmp_path: Path) -> None:
    keep(tmp_path, "mimi@mini", FEW, record=OLD)
    stopped(tmp_path, "mimi@mini", SCORES, data="e" * 64, record=NEWEST)
    (run,) = choose(["mimi"], tmp_path, "toy").runs
    assert run.record["clips"] == 1
    stopped(tmp_path, "opus@6kbps", SCORES)
    with pytest.raises(UserError, match=r"opus has no finished run \(.*opus@6kbps-.* was stopped\): the same bench run goes on"):
        choose(["opus"], tmp_path, "toy")


def test_a_pattern_takes_what_is_there_and_says_what_is_not(tmp_path: Path) -> None:
    for label in ("opus@6kbps", "opus@12kbps", "mimi@mini"):
        keep(tmp_path, label, SCORES)
    keep(tmp_path, "opus@24kbps", FEW, data="e" * 64)
    choice = choose(["mimi", "opus@*"], tmp_path, "toy")
    assert labels(choice) == ["mimi@mini", "opus@6kbps", "opus@12kbps"]
    assert "left out, without a finished run on that data: opus@24kbps" in choice.notes


def test_data_clips_and_folders_may_be_chosen(tmp_path: Path) -> None:
    whole = keep(tmp_path, "mimi@mini", SCORES, record=NEW)
    few = keep(tmp_path, "mimi@mini", FEW, data="e" * 64, record=OLD | {"data_name": "few"})
    twin = keep(tmp_path, "mimi@mini", SCORES, weights="sha256:other", record=OLD)

    def where(wish: Wish) -> list[Path]:
        return [run.where for run in choose(["mimi"], tmp_path, "toy", wish).runs]

    assert where(Wish()) == where(Wish(data="toys")) == where(Wish(clips=3)) == [whole]
    assert where(Wish(data="few")) == where(Wish(clips=1)) == where(Wish(runs=(few,))) == [few]
    assert where(Wish(runs=(twin,))) == where(Wish(runs=(twin / "rows.csv",))) == [twin]
    with pytest.raises(UserError, match=r"no finished run of mimi with --data mini --limit 3: it ran on toys \(3 clips\), few \(1 clips\)"):
        choose(["mimi"], tmp_path, "toy", Wish("mini", 3))


def test_a_manifest_names_the_data_by_its_content(tmp_path: Path, make_data) -> None:
    manifest = make_data(4)
    for count in (4, 2):
        facts = {"data": open_data(str(manifest), count).sha256, "clips": count, "record": {"started": str(count)}, "suite": "codes"}
        keep(tmp_path / "r", "mimi@mini", FEW, **facts)
    assert len(choose(["mimi"], tmp_path / "r", "codes", Wish(str(manifest))).runs) == 1
    assert choose(["mimi"], tmp_path / "r", "codes", Wish(str(manifest), 2)).runs[0].record["clips"] == 2


def test_trained_weights_come_before_random_ones(tmp_path: Path) -> None:
    keep(tmp_path, "mimi@mini", SCORES, weights="sha256:1", record=OLD)
    keep(tmp_path, "mimi@mini", SCORES, weights="seed:0", record=NEW)
    choice = choose(["mimi"], tmp_path, "toy")
    assert choice.runs[0].trained and "the newest of 2 runs" in choice.notes[0]


def test_runs_with_nothing_in_common_are_one_line_with_what_differs(tmp_path: Path) -> None:
    keep(tmp_path, "mimi@mini", SCORES)
    keep(tmp_path, "opus@6kbps", SCORES, seed=4)
    with pytest.raises(UserError, match=r"mimi and opus have no finished runs that can be compared, they differ in seed \(0 and 4\)"):
        choose(["mimi", "opus"], tmp_path, "toy")


def test_a_folder_that_is_named_decides_the_data_of_the_others(tmp_path: Path) -> None:
    for label in ("mimi@mini", "opus@6kbps"):
        keep(tmp_path, label, SCORES, data="e" * 64, record=NEW)
    old, _ = (keep(tmp_path, label, SCORES, data="d" * 64, record=OLD) for label in ("opus@6kbps", "mimi@mini"))
    assert {run.identity["data"] for run in choose([str(old), "mimi"], tmp_path, "toy").runs} == {"d" * 64}
    assert {run.identity["data"] for run in choose(["opus", "mimi"], tmp_path, "toy").runs} == {"e" * 64}


def test_hub_ids_and_lists_name_runs_as_in_every_command(tmp_path: Path) -> None:
    keep(tmp_path, "mimi@24khz", SCORES)
    keep(tmp_path, "opus@12kbps", SCORES)
    assert labels(choose(["kyutai/mimi,opus@12kbps"], tmp_path, "toy")) == ["mimi@24khz", "opus@12kbps"]
    with pytest.raises(UserError, match=r"no run of mimi \(mimi@mini\) in .*: make one with bench run .*, or name one of mimi@24khz"):
        choose(["mimi"], tmp_path, "toy")
