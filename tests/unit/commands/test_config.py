"""Flags in a TOML file."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.api import UserError
from bench.cli import _parser
from bench.commands import config
from tests.unit.commands.test_cli import bench, table


def read(path: Path, text: str, *words: str) -> list[str]:
    path.write_text(text)
    return config.read(["run", "--config", str(path), *words], _parser()[1])


def test_keys_are_flags_and_lists_are_repeated_or_joined(tmp_path: Path) -> None:
    text = (
        'tokenizer = ["mimi", "opus@*"]\nlimit = 3\ncolumns = ["stoi", "pesq_wb"]\nsave_audio = "listen"\nfresh = true\nuntrained = false\n'
    )
    found = read(tmp_path / "run.toml", text)
    assert found[:-2] == [
        "run",
        "--tokenizer=mimi",
        "--tokenizer=opus@*",
        "--limit=3",
        "--columns=stoi,pesq_wb",
        "--save-audio=listen",
        "--fresh",
    ]


def test_flags_of_the_command_line_override_the_file(tmp_path: Path) -> None:
    found = read(tmp_path / "run.toml", 'tokenizer = ["mimi"]\nlimit = 3\nquiet = true\n', "--tokenizer", "opus", "--limit=2", "-q")
    assert found == ["run", "--config", str(tmp_path / "run.toml"), "--tokenizer", "opus", "--limit=2", "-q"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limt = 3", "run.toml: bench run has no flag --limt: did you mean 'limit'? Known: "),
        ("limit = ", "run.toml: not TOML"),
        ("fresh = 1", "fresh must be true or false, not 1"),
        ("limit = true", "limit must be a string, a number, not True"),
        ("[tokenizer]\nname = 'mimi'", "tokenizer must be a string, a number or a list of them"),
        ("config = 'x.toml'", "has no flag --config"),
    ],
)
def test_a_wrong_key_or_value_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        read(tmp_path / "run.toml", text)
    assert message in str(raised.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done: subprocess.CompletedProcess[str] = bench("run", "--config", tmp_path / "none.toml")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "none.toml: No such file" in done.stderr


def test_a_run_of_a_file_is_that_of_its_flags(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    path = tmp_path / "run.toml"
    path.write_text(f'tokenizer = ["mulaw"]\ndata = "{make_data(2)}"\nresults = "{tmp_path / "r"}"\nformat = "csv"\nquiet = true\n')
    done = bench("run", "--config", path)
    assert ("mulaw@8bit", "speech", "stoi") in table(done) and not done.stderr
