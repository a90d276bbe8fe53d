"""The wheel, built once and installed into a clean environment that borrows the libraries of this one, so that nothing is fetched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("bench", "tokenizers", "tasks", "pyproject.toml", "README.md", "LICENSE")
IMPORTS = """
import json, bench, bench.tokenizers.mimi, bench.tasks.reconstruction, transformers
from transformers import AutoTokenizer, MimiModel
from bench.data.manifests import open_data
from bench.registry import names
places = {"bench": bench.__file__, "mimi": bench.tokenizers.mimi.__file__}
print(json.dumps(places | {"clips": len(open_data("mini").clips), "names": names()}))
"""


def quiet(*command: str | Path, cwd: Path) -> str:
    """The output of a command, run without the paths that this test run was given."""
    given = ("PYTHONPATH", "VIRTUAL_ENV", "PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT")
    clean = {key: value for key, value in os.environ.items() if key not in given}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=clean, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is made of, so that building leaves no trace in the checkout."""
    folder = tmp_path_factory.mktemp("sources")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


@pytest.fixture(scope="module")
def wheel(sources: Path) -> Path:
    pytest.importorskip("setuptools", "77", reason="building the wheel needs setuptools>=77 in this environment")
    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation")
    quiet(*build, "--wheel-dir", sources / "dist", sources, cwd=sources)
    (path,) = (sources / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of an environment with nothing but the wheel, and this environment's libraries behind it."""
    folder = tmp_path_factory.mktemp("environment")
    quiet(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    quiet(sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (site,) = folder.glob("**/site-packages")
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "borrowed.pth").write_text("\n".join(libraries) + "\n", encoding="utf-8")  # an editable install there stays asleep
    return programs


def facts(programs: Path, cwd: Path) -> dict:
    return json.loads(quiet(programs / "python", "-c", IMPORTS, cwd=cwd))


def test_the_wheel_holds_the_rooms_the_corpus_and_the_weights(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = archive.namelist()
    kinds = (".flac", ".opus", ".jsonl", ".ctm", ".md")
    data = [p.relative_to(ROOT) for p in (ROOT / "tasks" / "data").rglob("*") if p.is_file() and p.suffix in kinds]
    files = [p.relative_to(ROOT) for room in ("tokenizers", "tasks") for p in (ROOT / room).glob("*.py")]
    files += data + [p.relative_to(ROOT) for p in (ROOT / "tokenizers" / "weights").glob("*") if p.is_file()]
    files += [p.relative_to(ROOT / "bench") for p in (ROOT / "bench" / "leaderboard").rglob("*") if p.is_file() and p.suffix != ".pyc"]
    files.append(Path("py.typed"))
    assert len(data) > 40
    assert {f"bench/{path.as_posix()}" for path in files} <= set(held)
    assert any(path.endswith("licenses/LICENSE") for path in held)
    assert not [path for path in held if path.endswith(("tokenizers/__init__.py", "tasks/__init__.py", ".pyc"))]
    assert {path.split("/")[0].split("-")[0] for path in held} == {"bench", "audio_tokenizer_bench"}


def test_the_wheel_works_from_an_unrelated_folder(installed: Path, tmp_path: Path) -> None:
    found = facts(installed, tmp_path)
    assert Path(found["bench"]).is_relative_to(installed.parent), "not the wheel was tried"
    assert found["clips"] == 40
    assert "mimi@tiny" in found["names"]


@pytest.mark.parametrize("place", ["elsewhere", "checkout"])
def test_the_bench_program_lists_tokenizers(installed: Path, tmp_path: Path, place: str) -> None:
    assert "mimi@tiny" in quiet(installed / "bench", "list", "tokenizers", cwd=ROOT if place == "checkout" else tmp_path)


def test_the_checkout_works_beside_the_wheel(installed: Path) -> None:
    found = facts(installed, ROOT)
    assert Path(found["bench"]).is_relative_to(ROOT)
    assert found["clips"] == 40


def test_a_checkout_without_symbolic_links_works(installed: Path, sources: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sources, copy, symlinks=True)
    for room in ("tokenizers", "tasks"):
        (copy / "bench" / room).unlink()
        (copy / "bench" / room).write_text(f"../{room}", encoding="utf-8")  # what such a checkout makes of a link
    found = facts(installed, copy)
    assert Path(found["bench"]).is_relative_to(copy)
    assert Path(found["mimi"]).is_relative_to(copy)
    assert found["clips"] == 40
