"""What tests share: where real audio lies when it is there, and clips made on the spot."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import soundfile
import torch

ROOT = Path(__file__).resolve().parent.parent
REAL = ROOT.parent / "shared" / "data"
if "PYTEST_XDIST_WORKER" in os.environ:  # as many of these as there are cores: each takes one, and so do the programs that it starts
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.pop("COLUMNS", None)  # that of the terminal, which pytest-xdist hands on
    torch.set_num_threads(1)
os.environ.setdefault("AUDIO_TOKENIZER_BENCH_FEW_ROWS", "blas")  # no test but those of bench/nn/few_rows.py depends on a measurement


@pytest.fixture
def real_data() -> Path:
    """The folder of real audio beside the checkout; the test is skipped where there is none."""
    if not REAL.is_dir():
        pytest.skip(f"no real audio at {REAL}")
    return REAL


def speech_like(seconds: float, sample_rate: int, seed: int = 0) -> torch.Tensor:
    """[T] in [-1, 1]: a gliding harmonic voice in syllables with breathy noise, pauses between words."""
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(round(seconds * sample_rate), dtype=torch.float64) / sample_rate
    pitch = 110 * 2 ** (0.4 * torch.rand(1, generator=g)) * (1 + 0.15 * torch.sin(2 * torch.pi * 0.7 * t))
    phase = 2 * torch.pi * torch.cumsum(pitch, 0) / sample_rate
    voice = torch.stack([torch.sin(k * phase) / k for k in range(1, 25) if k * 130 < sample_rate / 2]).sum(0)
    noise = torch.randn(len(t), generator=g, dtype=torch.float64)
    syllables = torch.sin(2 * torch.pi * 2.1 * t + seed).clamp(min=0) ** 0.7
    words = (torch.sin(2 * torch.pi * 0.45 * t + 0.5) > -0.75).double()
    return (0.22 * (voice + 0.15 * noise) * syllables * words + 1e-4 * noise).float()


def import_pyworld() -> ModuleType:
    """The package; the test is skipped where it is absent."""
    stub = ModuleType("pkg_resources")  # pyworld asks it for its own version; setuptools 82 no longer has it
    stub.get_distribution = lambda name: SimpleNamespace(version="")  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pkg_resources", stub)
        return pytest.importorskip("pyworld")


@pytest.fixture
def make_data(tmp_path: Path) -> Callable[..., Path]:
    """make_data(n, seconds=..., rate=...) -> a manifest of n speech-like clips of 2 speakers, the last one music."""

    def make(n: int = 3, seconds: float = 1.5, rate: int = 16_000, name: str = "data") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        lines = []
        for i in range(n):
            soundfile.write(folder / f"{i}.flac", speech_like(seconds + 0.1 * i, rate, i).numpy(), rate)
            sha256 = hashlib.sha256((folder / f"{i}.flac").read_bytes()).hexdigest()
            domain = "music" if i == n - 1 and n > 2 else "speech"
            lines.append(
                {"path": f"{i}.flac", "id": f"clip{i}", "speaker": f"s{i % 2}", "domain": domain, "text": "hello", "sha256": sha256}
            )
        (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return folder / "manifest.jsonl"

    return make


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch on one thread: more change the order of sums, and barriers cost more than they give at the size of a test."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
