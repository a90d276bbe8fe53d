"""What the README promises is what runs."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench import registry
from tests.conftest import ROOT
from tests.unit.commands.test_cli import bench, table

README = (ROOT / "README.md").read_text()


def codec() -> str:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    return block


def test_the_codec_of_the_readme_is_about_twenty_lines_and_runs(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    assert len([line for line in codec().splitlines() if line.strip()]) <= 20
    path = tmp_path / "my_codec.py"
    path.write_text(codec())
    done = bench("run", "--tokenizer", path, "--data", make_data(2), "--results", tmp_path / "r", "--format", "csv")
    found = table(done)
    assert float(found["my_codec@4bit", "speech", "kbps_packed"]["mean"]) == 32
    assert 1.0 < float(found["my_codec@4bit", "speech", "pesq_nb"]["mean"]) < 4.5
    assert bench("check", path).returncode == 0


def test_every_flag_in_the_readme_exists() -> None:
    known = subprocess.run([sys.executable, "-m", "bench", "run", "--help"], capture_output=True, text=True, cwd=ROOT).stdout
    shown = {flag for line in README.splitlines() if "bench run" in line for flag in re.findall(r"--[a-z-]+", line)}
    assert shown and all(flag in known for flag in shown)


def test_every_family_is_in_the_readme() -> None:
    assert all(f"`{family}`" in README for family in registry.families())
