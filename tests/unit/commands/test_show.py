"""bench list and bench show: filtered, for people in any width, for programs as JSON, and without torch."""

import json
import subprocess
import sys

import pytest

from bench.catalog import names
from bench.cli import main
from tests.conftest import ROOT


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [("list", "tokenizers"), ("list", "suites"), ("list", "metrics"), ("list", "data"), ("show", "mimi")])
def test_a_list_needs_no_torch(words: tuple[str, ...]) -> None:
    code = f"import sys, bench.cli; bench.cli.main({list(words)}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False", "the index is stale: python -m bench.catalog.index"


@pytest.mark.parametrize("what", ["tokenizers", "suites", "metrics", "data"])
@pytest.mark.parametrize("width", ["40", "60", "100"])
def test_names_are_never_cut_however_narrow_the_terminal(
    what: str, width: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {next(iter(entry.values())) for entry in json.loads(told(capsys, "list", what, "--json"))}
    monkeypatch.setenv("COLUMNS", width)
    narrow = told(capsys, "list", what).split()
    assert known <= set(narrow)


def test_a_filter_is_a_part_of_a_name_a_pattern_or_a_hub_id(capsys: pytest.CaptureFixture[str]) -> None:
    def labels(*words: str) -> list[str]:
        return [entry["tokenizer"] for entry in json.loads(told(capsys, "list", "tokenizers", *words, "--json"))]

    assert labels("opus") == labels("opus@*") == names.tokenizers(["opus@*"])
    assert labels("kyutai/mimi", "MULAW") == [label for label in names.labels() if label == "mimi@24khz" or "mulaw" in label]
    assert labels() == names.labels()
    ready = labels("mimi", "--available")
    assert "mimi@mini" in ready and set(ready) <= set(labels("mimi"))
    assert main(["list", "tokenizers", "mimmi@"]) == 2
    assert "no tokenizers with 'mimmi@' in their names: did you mean 'mimi@" in capsys.readouterr().err


def test_json_has_plain_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(told(capsys, "show", "kyutai/mimi", "--json"))
    assert (shown["tokenizer"], shown["bitrate"], shown["frame_rate"], shown["tokens_per_s"]) == ("mimi@24khz", 1100.0, 12.5, 100.0)
    assert shown["codebooks"][0] == {"size": 2048, "rate": 12.5} and "kyutai/mimi" in shown["hub_ids"]
    assert json.loads(told(capsys, "show", "opus", "--json"))["bitrate"] is None
    suites = json.loads(told(capsys, "list", "suites", "--json"))
    assert {"suite", "version", "data", "about"} <= set(suites[0])
    assert json.loads(told(capsys, "list", "metrics", "pesq_wb", "--json"))[0]["unit"] == "MOS-LQO"
