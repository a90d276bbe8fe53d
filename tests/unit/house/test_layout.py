"""The house: what lies where, and that imports point down only, those for type checkers counted."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("tokenizers", "tasks")
FLOORS = (  # a room imports from lower floors and from itself; rooms of one floor do not see each other
    {"__main__"},
    {"cli"},
    {"commands"},
    {"python"},
    {"plot", "gate", "leaderboard"},
    {"listening", "ablation"},
    {"report", "conformance", "tokenized", "train", "pairs"},
    {"compare", "lm", "probe", "throughput"},
    {"evaluators", "engine"},
    {"registry", "tokens"},
    {"nn", "classical", "records", "plugins"},
    {"metrics", "statistics", "data", "catalog"},
    {"weights"},
    {"api"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
LOOSE = {"api", "registry", "cli", "__main__", "__init__"}  # everything else has a room
OPEN_TO = {  # what the files of the rooms of plug-ins, and the blocks, may see of bench
    "tokenizers": {"api", "nn", "classical", "weights", "data"},
    "tasks": {"api", "metrics", "data", "engine", "tokens", "evaluators", "lm", "pairs", "probe", "throughput"},
    "nn": {"api", "nn", "weights", "metrics"},  # of metrics, the mel scale
}
HIDDEN = {"engine.run", "engine.codec_stage", "engine.worker_pool"}  # a suite sees a session, not the engine that gives it


def imported(path: Path) -> set[str]:
    """What a file imports at run time, as full dotted names (`from bench import run` -> bench.engine.run)."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "bench." * bool(node.level) + (node.module or "")
            found |= {f"{module}.{alias.name}" for alias in node.names} if module in ("bench", "bench.") else {module}
    return found


def seen(path: Path) -> set[str]:
    """The modules of bench that a file imports, by the first name below bench."""
    return {name.split(".")[1] for name in imported(path) if name.startswith("bench.")}


def module_of(path: Path) -> str:
    """bench/engine/run.py -> run, bench/nn/conv.py -> nn."""
    return path.relative_to(ROOT / "bench").parts[0].removesuffix(".py")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


BENCH = sorted(p for p in (ROOT / "bench").rglob("*.py") if module_of(p) not in (*ROOMS, "__init__"))
ROOM_FILES = sorted(p for room in ROOMS for p in (ROOT / room).glob("*.py"))


def test_the_rooms_have_no_init_file() -> None:
    for room in ROOMS:
        assert not (ROOT / room / "__init__.py").exists(), f"{room}/__init__.py would shadow another package (Hugging Face's tokenizers)"


def test_the_rooms_are_seen_as_parts_of_bench() -> None:
    for room in ROOMS:
        link = ROOT / "bench" / room
        if link.is_symlink():  # a checkout without links is served by bench/__init__.py
            assert os.readlink(link) == f"../{room}"


def test_every_room_has_a_floor() -> None:
    assert {module_of(p) for p in BENCH} == set(FLOOR), "give the new room a place in FLOORS"


def test_five_files_are_loose_and_every_other_has_a_room() -> None:
    assert {p.stem for p in (ROOT / "bench").glob("*.py")} == LOOSE


@pytest.mark.parametrize("room", sorted({p.parent for p in BENCH} - {ROOT / "bench"}), ids=name)
def test_a_room_says_what_it_is_for(room: Path) -> None:
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert len(text.splitlines()) >= 3, "what the room is for, what may come in, and what it must not import"


def test_the_unit_tests_mirror_the_rooms() -> None:
    rooms = {p.parent.name for p in (ROOT / "tests" / "unit").rglob("test_*.py")}
    assert rooms <= {p.parent.name for p in BENCH} | {*ROOMS, "house"}, "house: what holds for the project as a whole"


@pytest.mark.parametrize("path", BENCH, ids=name)
def test_imports_point_down(path: Path) -> None:
    own = module_of(path)
    wrong = {other for other in seen(path) - {own, *ROOMS} if FLOOR[other] <= FLOOR[own]}
    assert not wrong, f"{name(path)} imports {sorted(wrong)} from its own floor or one above"
    assert not seen(path) & set(ROOMS), f"{name(path)} knows a codec or a suite by name"


@pytest.mark.parametrize("path", [*ROOM_FILES, *(ROOT / "bench" / "nn").glob("*.py")], ids=name)
def test_rooms_and_blocks_see_only_what_is_open_to_them(path: Path) -> None:
    assert not {f"bench.{module}" for module in HIDDEN} & imported(path) or path.parent.name != "tasks"
    assert seen(path) <= OPEN_TO[path.parent.name], f"{name(path)}: a file in a room never imports its neighbours"
    stems = {p.stem for p in path.parent.glob("*.py")}
    assert not imported(path) & {f"{path.parent.name}.{stem}" for stem in stems}


@pytest.mark.parametrize("path", sorted((ROOT / "bench" / "nn").glob("*.py")), ids=name)
def test_blocks_need_torch_and_numpy_alone(path: Path) -> None:
    assert {full.split(".")[0] for full in imported(path)} - set(sys.stdlib_module_names) <= {"torch", "numpy", "bench"}


def dangerous(tree: ast.AST) -> Iterator[str]:
    """Calls that run what they read."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in ("eval", "exec", "pickle.load", "pickle.loads", "os.system"):
            yield f"{called} in line {node.lineno}"
        safe = any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)
        if called == "torch.load" and not safe:
            yield f"torch.load without weights_only=True in line {node.lineno}"
        if any(k.arg == "shell" and ast.unparse(k.value) == "True" for k in node.keywords):
            yield f"shell=True in line {node.lineno}"


def test_no_file_runs_what_it_reads() -> None:
    found = {name(p): list(dangerous(ast.parse(p.read_text(encoding="utf-8")))) for p in (*BENCH, *ROOM_FILES, *ROOT.glob("tests/**/*.py"))}
    assert not {path: calls for path, calls in found.items() if calls}


@pytest.mark.parametrize(
    "code", ["eval('1')", "pickle.load(f)", "torch.load(f)", "torch.load(f, weights_only=False)", "run(c, shell=True)"]
)
def test_a_dangerous_call_is_found(code: str) -> None:
    assert list(dangerous(ast.parse(code)))


def test_transformers_imports_from_the_checkout() -> None:
    pytest.importorskip("transformers")
    subprocess.run([sys.executable, "-c", "from transformers import AutoTokenizer, MimiModel"], cwd=ROOT, check=True)


def test_every_import_of_the_core_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {d.split(">")[0] for group in (project["dependencies"], *project["optional-dependencies"].values()) for d in group}
    called = {
        "sklearn": "scikit-learn",
        "pynvml": "nvidia-ml-py",
        "ai_edge_litert": "ai-edge-litert",
        "whisper": "openai-whisper",
        "faster_whisper": "faster-whisper",
        "visqol": "visqol-python",
        "markdown_it": "markdown-it-py",
        "yaml": "PyYAML",
    }  # where a module's name is not its package's
    used = {full.split(".")[0] for p in (*BENCH, *ROOM_FILES) for full in imported(p)} - set(sys.stdlib_module_names) - {"bench"}
    used = {called.get(name, name) for name in used}
    assert used <= declared


def test_every_dependency_is_pinned_exactly() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    wanted = {d.split(">")[0] for group in (project["dependencies"], *project["optional-dependencies"].values()) for d in group}
    assert wanted <= set(pins)
    assert "torchcodec" not in pins, "it cannot be imported beside a CPU torch"


def test_torchaudio_is_imported_through_its_guard_alone_and_stays_an_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not any(d.startswith("torchaudio") for d in (*project["dependencies"], *project["optional-dependencies"]["test"]))
    assert not [name(p) for p in (*BENCH, *ROOM_FILES) if any(full.split(".")[0] == "torchaudio" for full in imported(p))]
