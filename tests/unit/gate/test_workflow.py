"""The workflow that a codec team copies: valid YAML, scripts that bash accepts, flags that exist, and a gate step that works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.runs import keep, speech

FILE = ROOT / ".github" / "workflows" / "gate.yml"
WORKFLOW = yaml.safe_load(FILE.read_text(encoding="utf-8"))
STEPS = WORKFLOW["jobs"]["gate"]["steps"]
SCRIPTS = {step["name"]: step["run"] for step in STEPS if "run" in step}


def test_it_runs_on_pull_requests_and_may_comment_and_nothing_more() -> None:
    assert "pull_request" in WORKFLOW[True]  # YAML reads the word `on` as true
    assert WORKFLOW["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert [name for name in SCRIPTS if name != "Install"] == ["Run", "Gate", "Summary", "Comment"]
    (kept,) = [step["with"]["path"] for step in STEPS if "upload-artifact" in step.get("uses", "")]
    assert "gate-results/**/*.csv" in kept and "gate.xml" in kept


def test_torch_is_for_the_cpu_and_what_was_downloaded_is_cached() -> None:
    assert WORKFLOW["env"]["TORCH"] == "cpu" and "--torch-backend" in SCRIPTS["Install"]
    (cache,) = [step["with"] for step in STEPS if "actions/cache" in step.get("uses", "")]
    assert "uv" in cache["path"] and "constraints.txt" in cache["key"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_bash_and_takes_nothing_from_the_pull_request_but_by_its_environment(name: str) -> None:
    subprocess.run(["bash", "-n"], input=SCRIPTS[name], text=True, check=True)
    assert "${{" not in SCRIPTS[name]


def test_every_command_and_flag_exists() -> None:
    said = FILE.read_text(encoding="utf-8")
    for verb, words in re.findall(r"bench (run|gate) (.*)", said):
        helped = subprocess.run(
            [sys.executable, "-m", "bench", verb, "--help"], capture_output=True, text=True, cwd=ROOT, check=True
        ).stdout
        for flag in re.findall(r"--[a-z-]+", words):
            assert flag in helped, f"bench {verb} {flag}"


def test_its_settings_are_used() -> None:
    for name in WORKFLOW["env"]:
        assert any(f"${name}" in script or f"${{{name}:" in script for script in SCRIPTS.values()), name


@pytest.mark.parametrize(("fall", "code"), [(0.0, 0), (0.5, 1)])
def test_the_gate_step_ends_as_the_gate_does_and_leaves_its_files(tmp_path: Path, fall: float, code: int) -> None:
    command = tmp_path / "bench"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m bench "$@"\n')
    command.chmod(0o755)
    values = [3.0, 3.1, 3.3, 2.9, 2.7, 3.6]
    keep(tmp_path / "old", "mimi@mini", speech({"quality": values}))
    subprocess.run([command, "gate", "--baseline", "b.jsonl", "--results", "old", "--update"], cwd=tmp_path, check=True)
    keep(tmp_path / "gate-results", "mimi@mini", speech({"quality": [value - fall for value in values]}))
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "BASELINE": "b.jsonl", "GITHUB_STEP_SUMMARY": str(tmp_path / "step.md")}
    done = subprocess.run(["bash", "-e", "-c", SCRIPTS["Gate"]], cwd=tmp_path, env=env)
    assert done.returncode == code
    subprocess.run(["bash", "-e", "-c", SCRIPTS["Summary"]], cwd=tmp_path, env=env, check=True)
    assert (tmp_path / "step.md").read_text().startswith("### Gate " + ("failed" if code else "passed")) and (
        tmp_path / "gate.xml"
    ).exists()
