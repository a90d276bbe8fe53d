"""What a shell asks when TAB is pressed, and what it is answered."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import main
from tests.conftest import ROOT


def completed(line: str, tmp_path: Path) -> list[str]:
    """The answers to TAB at the end of a line, as argcomplete's shell code asks for them."""
    answers = tmp_path / "answers"
    told = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "bash", "_ARGCOMPLETE_STDOUT_FILENAME": str(answers), "_ARGCOMPLETE_IFS": "\n"}
    env = {**os.environ, **told, "COMP_LINE": line, "COMP_POINT": str(len(line)), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "bench"], env=env, cwd=tmp_path, capture_output=True, timeout=60)
    return [word.strip() for word in answers.read_text().splitlines()]


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("bench ru", {"run", "runs"}),
        ("bench run --tokenizer mimi@24khz-1", {"mimi@24khz-1cb", "mimi@24khz-16cb"}),
        ("bench run --tokenizer kyutai/mi", {"kyutai/mimi"}),
        ("bench run --tokenizer mimi,opus@1", {"mimi,opus@12kbps"}),
        ("bench run --suite rec", {"reconstruction"}),
        ("bench run --data di", {"digits"}),
        ("bench run --batch", {"--batch-size"}),
        ("bench list sui", {"suites"}),
        ("bench show opus@6", {"opus@6kbps"}),
    ],
)
def test_commands_flags_and_names_are_completed(line: str, answers: set[str], tmp_path: Path) -> None:
    assert answers <= set(completed(line, tmp_path))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_every_shell_has_its_code(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    code = capsys.readouterr().out
    assert "bench" in code and "ARGCOMPLETE" in code.upper()
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=code, text=True, check=True)
