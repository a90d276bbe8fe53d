"""torchaudio that cannot be imported whole: what works without its compiled part is used, and transformers does not break on the rest."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.api import UserError
from bench.data import torchaudio_guard

ROOT = Path(__file__).resolve().parents[3]
BROKEN = 'raise OSError("Could not load this library: lib/_torchaudio.abi3.so")\n'  # as the wheel does beside a torch for another CUDA
MODELS = "from transformers import HubertModel, MimiModel, WavLMModel\n"
GUARDED = f"from bench.data import torchaudio_guard\nwhy = torchaudio_guard.guard()\n{MODELS}"


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with a torchaudio in it, whose compiled part fails, or all of it."""
    package = tmp_path / "torchaudio"
    (package / "_extension").mkdir(parents=True)
    (package / "functional.py").write_text("from ._extension import fail_if_no_align\n\n@fail_if_no_align\ndef forced_align(): ...\n")
    (package / "_extension" / "__init__.py").write_text(BROKEN)
    (package / "__init__.py").write_text(BROKEN if request.param == "all" else "from . import _extension\nfrom . import functional\n")
    return tmp_path


def run(code: str, place: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{place}{os.pathsep}{ROOT}"}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("place", ["compiled part"], indirect=True)
def test_transformers_imports_beside_a_torchaudio_without_its_compiled_part_and_the_rest_is_used(place: Path) -> None:
    pytest.importorskip("transformers")
    assert "Could not load this library" in run(MODELS, place).stderr, "what the guard is for"
    call = "try:\n    torchaudio_guard.load().functional.forced_align()\nexcept RuntimeError as error:\n    print(error)"
    done = run(f"{GUARDED}assert not why\n{call}", place)
    assert done.returncode == 0, done.stderr
    assert "torchaudio.forced_align needs torchaudio's compiled part" in done.stdout


@pytest.mark.parametrize("place", ["all"], indirect=True)
def test_a_users_file_imports_transformers_beside_a_torchaudio_that_fails_altogether_and_asking_for_it_says_why(place: Path) -> None:
    pytest.importorskip("transformers")
    call = "try:\n    torchaudio_guard.load()\nexcept Exception as error:\n    print(type(error).__name__, error)"
    (place / "own.py").write_text(MODELS)
    done = run(
        f"from pathlib import Path\nfrom bench.data import torchaudio_guard\nfrom bench.plugins import loading\n"
        f"loading.execute(Path({str(place / 'own.py')!r}))\n{call}",
        place,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("UserError torchaudio cannot be used (Could not load this library") and "[torchaudio]" in done.stdout


def test_a_torchaudio_that_is_absent_is_said() -> None:
    if importlib.util.find_spec("torchaudio") is not None:
        pytest.skip("torchaudio is installed")
    with pytest.raises(UserError, match=r"it is not installed\): pip install 'audio-tokenizer-bench\[torchaudio\]'"):
        torchaudio_guard.load()


@pytest.mark.slow
def test_transformers_imports_beside_the_real_wheel_which_resamples(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    wanted = next(pin for pin in pins if pin.startswith("torchaudio=="))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path), wanted]
    done = subprocess.run(pip, capture_output=True, text=True, env=os.environ | {"PIP_RETRIES": "0"})
    if done.returncode:
        pytest.skip(f"pip has no {wanted}: {done.stderr.strip().splitlines()[-1]}")
    call = "import torch; print(tuple(torchaudio_guard.load().functional.resample(torch.zeros(1, 1600), 16000, 24000).shape))"
    done = run(GUARDED + call, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 2400)"
