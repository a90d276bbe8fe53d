"""bench runs: the list of what is there, and a prune that removes nothing before it is told to."""

import json
from pathlib import Path

import pytest

from bench.cli import main
from tests.runs import keep, speech
from tests.unit.records.test_choose import NEW, OLD, SCORES, stopped


@pytest.fixture
def results(tmp_path: Path) -> Path:
    keep(tmp_path, "mimi@mini", SCORES, code="old", record=OLD)
    keep(tmp_path, "mimi@mini", SCORES, code="new", record=NEW)
    keep(tmp_path, "mimi@mini", speech({"quality": [1.0]}), data="e" * 64, suite="toy2")
    stopped(tmp_path, "opus@6kbps", SCORES)
    return tmp_path


def folders(results: Path) -> int:
    return len(list(results.glob("*/*/run.json")))


def test_every_run_is_listed_with_its_state(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--results", str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("mimi@mini" in line and " finished" in line for line in lines) == 3
    assert any("opus@6kbps" in line and "unfinished" in line for line in lines)
    assert main(["runs", "list", "mimi", "--suite", "toy2", "--json", "--results", str(results)]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["tokenizer"], run["clips"], run["suite"]) == ("mimi@mini", 1, "toy2") and Path(run["folder"]).is_dir()


def test_prune_removes_unfinished_runs_and_older_equals_and_only_with_yes(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "prune", "--results", str(results)]) == 0
    said = capsys.readouterr().out
    assert folders(results) == 4 and said.count("would go: ") == 2 and "2 of 4 runs; --yes removes them" in said
    assert main(["runs", "prune", "--yes", "--results", str(results)]) == 0
    assert folders(results) == 2 and capsys.readouterr().out.count("removed: ") == 2
    assert main(["runs", "prune", "--yes", "--results", str(results)]) == 0
    assert "nothing to prune" in capsys.readouterr().out


def test_all_runs_go_only_of_tokenizers_that_are_named(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "prune", "--all", "--yes", "--results", str(results)]) == 2
    assert folders(results) == 4 and "name the tokenizers" in capsys.readouterr().err
    assert main(["runs", "prune", "mimi@*", "--all", "--yes", "--results", str(results)]) == 0
    assert folders(results) == 1


def test_a_name_that_never_ran_is_one_line(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "list", "encodec", "--results", str(results)]) == 2
    assert "no run of encodec (encodec@mini) in" in capsys.readouterr().err
