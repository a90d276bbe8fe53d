"""What people expect beside the code: versions that agree, a changelog in its form, hooks and a workflow that call what exists."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def test_one_version_is_named_everywhere() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    releases = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", CHANGELOG, re.M)
    assert releases[0] == (PROJECT["version"], str(cited["date-released"])) and cited["version"] == PROJECT["version"]


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    heads = re.findall(r"^(#{2,}) (.*)$", CHANGELOG, re.M)
    assert heads[0] == ("##", "[Unreleased]")
    kinds = {text for level, text in heads if level == "###"}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_hooks_call_tools_that_the_lint_target_installs() -> None:
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    tools = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in repo["hooks"]}
    assert tools == {"ruff", "pyright"}
    assert tools < {re.split("[>=]", package)[0] for package in PROJECT["optional-dependencies"]["dev"]}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_of_the_workflow_is_bash_and_calls_targets_that_exist(script: str) -> None:
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert "${{" not in script, "what a pull request says would be run"
    for target in re.findall(r"\bmake ([a-z-]+)", script):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M), target


def test_the_workflow_tests_every_python_that_the_package_allows() -> None:
    assert WORKFLOW["jobs"]["tests"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    assert set(WORKFLOW["jobs"]) == {"lint", "tests", "slow", "build", "docs", "image"}
    assert WORKFLOW["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_an_issue_template_has_what_a_form_needs(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        assert form == {"blank_issues_enabled": True}
    else:
        assert form["name"] and form["description"] and all(part["id"] and part["attributes"]["label"] for part in form["body"])
