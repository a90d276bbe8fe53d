"""The Dockerfile's build, without Docker: its RUN steps as shell on a copy of what COPY would take.

Three things differ from a real build, so that nothing is fetched: apt-get only says what it would install, uv is not installed but stands
for pip, and takes no dependencies (the new environment borrows those of this one). CI builds the real image.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

TEXT = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
STEPS = re.findall(r"^RUN (.*)$", TEXT, re.M)
SETTINGS = dict(pair.split("=", 1) for line in re.findall(r"^(?:ARG|ENV) (.*)$", TEXT, re.M) for pair in line.split())


UV = """#!/bin/sh
[ "$1 $2 $3 $5 $6" = "pip install --python --torch-backend cpu" ] || exit 2
python="$4/bin/python"
shift 10
exec "$python" -m pip install "$@"
"""


def copied() -> list[str]:
    """The names at the top that .dockerignore lets through."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("src")
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """ARG and ENV of the Dockerfile, a recording apt-get, `python` as in the image, and a pip that fetches nothing."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "apt-get").write_text('#!/bin/sh\necho "$@" >> "$APT_LOG"\n')
    (programs / "apt-get").chmod(0o755)
    (programs / "python").write_text(f'#!/bin/sh\n[ "$*" = "-m pip install uv" ] || exec {sys.executable} "$@"\n')
    (programs / "uv").write_text(UV)
    for name in ("python", "uv"):
        (programs / name).chmod(0o755)
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_QUIET": "1"}  # "0": no isolation
    paths = {"PATH": f"{programs}:/usr/bin:/bin", "APT_LOG": str(programs / "apt.log"), "HOME": str(programs)}
    return {**{key: value.strip('"') for key, value in SETTINGS.items() if key != "PATH"}, **offline, **paths}


def borrow(target: Path) -> None:
    """Puts this environment's libraries behind those of the new one, whose setuptools may be as old as its Python."""
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    for site in target.glob("lib/*/site-packages"):
        (site / "borrowed.pth").write_text("\n".join(libraries) + "\n", encoding="utf-8")
        for old in site.glob("setuptools*"):
            shutil.rmtree(old)


def test_the_build_steps_end_with_a_program_that_answers(sources: Path, environment: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("setuptools", "77", reason="building needs setuptools>=77 in this environment")
    target = tmp_path / "bench"  # in place of /opt/bench
    for step in STEPS:
        done = subprocess.run(
            ["bash", "-euc", step.replace("/opt/bench", str(target))],
            cwd=sources,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{step}: {done.stderr[-3000:]}"
        borrow(target)
    assert (target / "bin" / "bench").is_file()
    done = subprocess.run([target / "bin" / "bench", "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "usage: bench" in done.stdout
    assert "gcc" in Path(environment["APT_LOG"]).read_text()


def test_the_image_takes_what_the_wheel_needs_and_nothing_private() -> None:
    assert {"bench", "tasks", "tokenizers", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"} == set(copied())
    assert all((ROOT / name).exists() for name in copied())


@pytest.mark.parametrize("torch", ["", "cu130"])
def test_the_build_argument_chooses_the_torch_and_the_default_is_for_a_cpu(torch: str, environment: dict[str, str], tmp_path: Path) -> None:
    (install,) = (step for step in STEPS if step.startswith("uv pip install"))
    env = environment | ({"TORCH": torch} if torch else {})
    said = subprocess.run(["bash", "-euc", f"echo {install}"], env=env, cwd=tmp_path, capture_output=True, text=True).stdout
    assert f"--torch-backend {torch or 'cpu'} --constraints constraints.txt" in said and said.endswith(".[codec2,plot]\n")


def test_docker_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, env=os.environ).returncode:
        pytest.skip("no Docker daemon here: the RUN steps are run as shell instead")
    subprocess.run([docker, "build", "--check", str(ROOT)], check=True)
