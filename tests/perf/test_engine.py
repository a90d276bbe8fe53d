"""What the engine costs beyond the work itself. Run on an idle machine: pytest tests/perf/test_engine.py -m perf -s

Printed, not asserted: machines are noisy. What is asserted is that the runs compared did the same work.
"""

import csv
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile
import torch

from bench import registry
from bench.api import Reconstruction
from bench.data.manifests import open_data
from bench.engine.codec_stage import cores, reconstructions
from bench.metrics import METRICS
from bench.tasks.reconstruction import Pair, score
from tests.conftest import ROOT, speech_like

pytestmark = pytest.mark.perf
CLIPS, SECONDS = 1000, 5.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for i in range(CLIPS):
        soundfile.write(folder / f"{i:03}.flac", speech_like(SECONDS + i % 5 * 0.2, 24_000, i).numpy(), 24_000)
    return folder


@dataclass(frozen=True)
class Work:
    """Seconds of the work itself."""

    codec: float  # wall, clip by clip on all cores
    metrics: float  # CPU, on one core
    values: int


def alone(tokenizer: str, data: Path) -> Work:
    """The same codec and the same metric functions, called one after the other in this process."""
    model = registry.load_tokenizer(tokenizer)
    clips = open_data(str(data)).clips
    torch.set_num_threads(cores())
    items: list[Reconstruction] = []
    for clip in clips:  # reading and resampling are no codec time
        items += reconstructions(model.spec, lambda: registry.load_tokenizer("resample@24khz"), [clip])
    torch.set_num_threads(cores())
    with torch.inference_mode():
        wavs = [item.est.wav[None] for item in items]
        model.decode(model.encode(wavs[0]))
        start = time.perf_counter()
        decoded = [model.decode(model.encode(wav)) for wav in wavs]
        codec = time.perf_counter() - start
    torch.set_num_threads(1)
    steps = [m.name for m in METRICS.values() if m.score is not None and "speech" in m.rates]
    pairs = [
        Pair(item.ref, type(item.ref)(d[0, :, : item.est.wav.shape[-1]], 24_000), "speech") for item, d in zip(items, decoded, strict=True)
    ]
    start = time.process_time()
    values = sum(len(list(score(pair, steps))) for pair in pairs)
    return Work(codec, time.process_time() - start, values)


def run(tokenizer: str, data: Path, results: Path) -> float:
    words = [sys.executable, "-m", "bench", "run", "--tokenizer", tokenizer, "--data", str(data), "--results", str(results)]
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return time.perf_counter() - start


@pytest.mark.parametrize("tokenizer", ["mimi@mini", "resample@16khz"])
def test_overhead_of_a_cold_and_of_a_cached_run(tokenizer: str, data: Path, tmp_path: Path) -> None:
    work = alone(tokenizer, data)
    cold, cached = run(tokenizer, data, tmp_path), run(tokenizer, data, tmp_path)
    floor = work.metrics / cores() + work.codec
    (rows,) = tmp_path.rglob("rows.csv")
    signal = [row for row in csv.DictReader(rows.open()) if row["metric"] in METRICS and METRICS[row["metric"]].score is not None]
    assert len(signal) == work.values
    print(
        f"\n{tokenizer}, {CLIPS} clips of about {SECONDS:g} s, {cores()} cores: "
        f"metrics {work.metrics:.1f} s CPU, codec {work.codec:.1f} s; "
        f"cold run {cold:.1f} s = {cold / floor:.2f} x (metrics / cores + codec); cached {cached:.2f} s = {cached / cold:.1%} of it"
    )


def test_single_clips_against_batches_on_this_cpu(data: Path) -> None:
    clips = open_data(str(data)).clips[:48]
    spec = registry.variant("mimi@mini").spec
    times: dict[float, list[float]] = {0: [], 45: []}
    codes: list[dict[str, torch.Tensor]] = []
    for _ in range(3):  # in turn, so that both see the same machine
        for seconds, taken in times.items():
            start = time.perf_counter()
            found = reconstructions(spec, lambda: registry.load_tokenizer("mimi@mini"), clips, batch_seconds=seconds)
            codes.append({item.clip.id: item.codes for item in found})
            taken.append(time.perf_counter() - start)
    equal = torch.cat([(found[key] == value).flatten() for found in codes for key, value in codes[0].items()]).double().mean().item()
    assert equal > 0.999  # a matrix product rounds by its size: near ties may fall to the other side
    single, batched = (sorted(taken)[1] for taken in times.values())
    print(
        f"\nmimi@mini, 48 clips: one by one {single:.1f} s, in batches of up to 45 s {batched:.1f} s: "
        f"{batched / single:.2f} x, {equal:.3%} of codes equal"
    )
