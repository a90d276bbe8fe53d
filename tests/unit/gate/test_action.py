"""The composite action: valid, nothing of the caller's words in a script, and its steps run one after the other as a runner does it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

FILE = ROOT / "action.yml"
ACTION = yaml.safe_load(FILE.read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}


def test_it_is_composite_and_every_input_is_used() -> None:
    assert ACTION["runs"]["using"] == "composite" and ACTION["name"] and ACTION["description"]
    used = set(re.findall(r"\$\{\{ inputs\.([a-z-]+) \}\}", FILE.read_text()))
    assert used == set(ACTION["inputs"])
    assert {name for name, facts in ACTION["inputs"].items() if facts.get("required")} == {"tokenizers", "baseline"}
    assert all("default" in facts for facts in ACTION["inputs"].values() if not facts.get("required"))


@pytest.mark.parametrize("name", STEPS)
def test_a_step_names_its_shell_and_takes_inputs_by_its_environment_alone(name: str) -> None:
    assert STEPS[name]["shell"] == "bash" and "${{" not in STEPS[name]["run"]
    subprocess.run(["bash", "-n"], input=STEPS[name]["run"], text=True, check=True)
    given = set(re.findall(r"\$\{?([A-Z_]+)", STEPS[name]["run"])) - {"GITHUB_STEP_SUMMARY", "GITHUB_ACTION_PATH"}
    assert given == set(STEPS[name].get("env", {}))


def programs(folder: Path) -> Path:
    """`bench` as it is here, and a `python` and a `uv` that write down what they were to do."""
    folder.mkdir()
    (folder / "bench").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m bench "$@"\n')
    for name in ("python", "uv"):
        (folder / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@" >> installed\n')
    for path in folder.iterdir():
        path.chmod(0o755)
    return folder


def act(name: str, place: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """One step with those inputs, the others at their defaults."""
    values = {key: facts.get("default", "") for key, facts in ACTION["inputs"].items()} | inputs
    given = {key: values[word.split(".")[1].strip(" }")] for key, word in STEPS[name].get("env", {}).items()}
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "GITHUB_STEP_SUMMARY": str(place / "step.md"), "GITHUB_ACTION_PATH": str(ROOT), **given}
    script = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", STEPS[name]["run"]]
    return subprocess.run(script, cwd=place, env=env, capture_output=True, text=True)


def test_it_installs_the_package_beside_it_with_torch_for_the_cpu(tmp_path: Path) -> None:
    programs(tmp_path / "bin")
    assert act("Install", tmp_path, extras="asr,speaker").returncode == 0
    words = (tmp_path / "installed").read_text().splitlines()
    assert words[:5] == ["python", "-m", "pip", "install", "uv"]
    assert words[5:] == [
        "uv",
        "pip",
        "install",
        "--system",
        "--torch-backend",
        "cpu",
        "-c",
        f"{ROOT}/constraints.txt",
        f"{ROOT}[asr,speaker]",
    ]


def test_a_codec_passes_its_own_baseline_and_a_worse_one_fails(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    programs(tmp_path / "bin")
    data = make_data(4)
    ran = act("Run", tmp_path, tokenizers="mulaw opus@12kbps", data=str(data), limit="3")
    assert ran.returncode == 0, ran.stderr
    assert "mulaw@8bit" in (tmp_path / "step.md").read_text()
    update = [tmp_path / "bin" / "bench", "gate", "--baseline", "b.jsonl", "--results", "gate-results", "--update"]
    subprocess.run(update, cwd=tmp_path, check=True, capture_output=True)
    assert act("Gate", tmp_path, baseline="b.jsonl").returncode == 0
    lines = (tmp_path / "b.jsonl").read_text().splitlines()
    better = [json.loads(line) for line in lines]
    for entry in better:
        if "stoi" in entry.get("scores", {}):
            entry["scores"]["stoi"] = 1.0  # as if it had been much better
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in better))
    failed = act("Gate", tmp_path, baseline="b.jsonl")
    assert failed.returncode == 1, failed.stderr
    assert act("Summary", tmp_path).returncode == 0
    said = (tmp_path / "step.md").read_text()
    assert "### Gate failed." in said and "Worst clips" in said and "--update" in said and (tmp_path / "gate.xml").exists()
    shutil.rmtree(tmp_path / "gate-results")
    assert act("Gate", tmp_path, baseline="b.jsonl").returncode == 2
