"""The gate on codecs that really got worse: a codebook fewer, 1 % of noise, 3 dB of gain. Each fails; the same codec again passes."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.api import Audio
from bench.gate.regressions import judge
from bench.metrics import METRICS
from bench.records.reader import Kept
from bench.tasks.reconstruction import Pair, score
from tests.conftest import ROOT, speech_like
from tests.runs import made

RATE = 16_000
STEPS = ("stoi", "mel_l1", "lsd", "snr", "si_sdr", "gain_db")
FACTS = [{"name": m.name, "unit": m.unit, "better": m.better, "tolerance": m.tolerance, "per": m.per} for m in METRICS.values()]


def residual(wav: Tensor, codebooks: int) -> Tensor:
    """wav [T] through a residual quantizer: each codebook of 8 levels refines what the one before it left."""
    left, out, span = wav.clamp(-1, 1), torch.zeros_like(wav), 1.0
    for _ in range(codebooks):
        code = ((left / span + 1) * 4).floor().clamp(0, 7)
        value = ((code + 0.5) / 4 - 1) * span
        left, out, span = left - value, out + value, span / 8
    return out


def noisy(wav: Tensor, seed: int) -> Tensor:
    """1 % of the loudest sample."""
    return wav + 0.01 * wav.abs().max() * torch.randn(len(wav), generator=torch.Generator().manual_seed(seed))


def run(codebooks: int = 3, gain: float = 1.0, noise: bool = False) -> Kept:
    """Ten clips through the codec and through real metrics."""
    scores: dict[str, dict[str, float]] = {name: {} for name in STEPS}
    for seed in range(10):
        wav = speech_like(1.2, RATE, seed)
        est = gain * residual(wav, codebooks)
        est = noisy(est, seed) if noise else est
        found = score(Pair(Audio(wav[None], RATE), Audio(est[None], RATE), "speech"), STEPS)
        for name, value in zip(STEPS, found, strict=True):
            scores[name][str(seed)] = value.value
    return made("codec@1", {"speech": scores}, record={"metrics": FACTS})


@pytest.fixture(scope="module")
def before() -> Kept:
    return run()


def offenders(before: Kept, now: Kept, strict: bool = False) -> set[str]:
    return {f.metric.name for f in judge([(before, now)], strict) if f.failed}


def test_the_same_codec_again_passes(before: Kept) -> None:
    assert not offenders(before, run()) and not offenders(before, run(), strict=True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (partial(run, codebooks=2), {"snr", "si_sdr", "mel_l1"}),
        (partial(run, noise=True), {"snr", "lsd", "mel_l1"}),
        (partial(run, gain=10 ** (3 / 20)), {"gain_db", "snr"}),
        (partial(run, gain=10 ** (-3 / 20)), {"gain_db", "snr"}),
    ],
    ids=["codebook", "noise", "louder", "quieter"],
)
def test_a_codec_that_got_worse_fails_and_says_in_what(before: Kept, change: partial, named: set[str]) -> None:
    assert named <= offenders(before, change())


def test_a_codec_that_got_better_passes(before: Kept) -> None:
    assert not offenders(before, run(codebooks=4))


def test_the_gate_sees_the_fall_of_one_metric_alone(before: Kept) -> None:
    rows = [replace(row, value=row.value - 0.01) if row.metric == "stoi" else row for row in before.rows]
    assert offenders(before, replace(before, rows=rows)) == {"stoi"}


CODEC = """
from dataclasses import replace
import torch
from bench import registry
from bench.api import Variant
BASE = registry.variant("mimi@mini")
SPEC = replace(BASE.spec, name="codec", variant="v", weights="none", codebooks=BASE.spec.codebooks[:{codebooks}])
class Codec:
    def __init__(self, spec):
        self.spec = spec
        self.inner = registry.load_tokenizer(replace(BASE, spec=replace(BASE.spec, codebooks=spec.codebooks)))
    def encode(self, wav):
        return self.inner.encode(wav)
    def decode(self, codes):
        wav = self.inner.decode(codes)
        noise = torch.randn(wav.shape, generator=torch.Generator().manual_seed(wav.shape[-1]))
        return {gain} * wav + {noise} * wav.abs().max() * noise
VARIANTS = {{"v": Variant(SPEC, Codec)}}
"""


def bench(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench", *map(str, words)], capture_output=True, text=True, cwd=ROOT, timeout=600)


@pytest.mark.slow
def test_mimi_mini_degraded_fails_the_gate_of_the_command_line(tmp_path: Path) -> None:
    """As in CI: bench run on the embedded speech, bench gate, and its exit code."""
    changes = {
        "base": {},
        "again": {},
        "codebook": {"codebooks": 7},
        "noise": {"noise": 0.01},
        "gain": {"gain": 10 ** (3 / 20)},
    }
    codec, codes = tmp_path / "codec.py", {}
    for name, change in changes.items():
        codec.write_text(CODEC.format(**({"codebooks": 8, "gain": 1.0, "noise": 0.0} | change)))
        done = bench("run", "--tokenizer", codec, "--results", tmp_path / name, "--format", "csv")
        assert done.returncode == 0, done.stderr
        words = ("gate", "--baseline", tmp_path / "baseline.jsonl", "--results", tmp_path / name)
        if name == "base":
            assert bench(*words, "--update").returncode == 0
            continue
        done = bench(*words, "--junit", tmp_path / f"{name}.xml", "--summary", tmp_path / f"{name}.md")
        codes[name] = done.returncode
        print(name, done.returncode, done.stdout, done.stderr)
    assert codes == {"again": 0, "codebook": 1, "noise": 1, "gain": 1}
    size = (tmp_path / "baseline.jsonl").stat().st_size
    assert size < 40_000 and json.loads((tmp_path / "baseline.jsonl").read_text().splitlines()[0]) == {"baseline": 1}
