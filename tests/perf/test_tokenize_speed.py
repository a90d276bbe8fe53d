"""bench tokenize against its bare encoder, in turns in one process: pytest tests/perf/test_tokenize_speed.py -m perf -s

The bare encoder is called by as many threads, each with an instance of its own, on clips that are in memory and resampled already; what it
is compared with reads and checks files, resamples, lays codes out and writes shards. An encoder a hundred times as fast as its audio is
fed by bare reading and resampling, which alone are a tenth of its time.
"""

import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor

from bench import registry
from bench.api import Variant
from bench.data.audio import read_clip, resample
from bench.data.manifests import open_data
from bench.engine.codec_stage import own, threads
from bench.engine.worker_threads import staged
from bench.tokenized import encoding
from bench.tokenized.record import Tokenized
from tests.conftest import speech_like

pytestmark = pytest.mark.perf
CLIPS = {"mimi@24khz": 12, "encodec@24khz-6kbps": 12, "mimi@mini": 240}  # loading is timed, too: a fast encoder has more to do
FED = ("mimi@mini",)
SECONDS, TURNS = 6.0, 5
LEAST = 0.9  # of the bare encoder's audio per second


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for i in range(max(CLIPS.values())):
        soundfile.write(folder / f"{i:03}.flac", speech_like(SECONDS, 16_000, i).numpy(), 16_000)
    return folder


def variant_of(name: str) -> Variant:
    """As large and as fast as the published one where its weights are not here."""
    found = registry.variant(name)
    return registry.untrained(found, 0) if found.checkpoint and found.checkpoint.url else found


def bare(variant: Variant, wavs: Iterable[Tensor]) -> float:
    load = partial(registry.load_tokenizer, variant)

    def work(tokenizer: object, wav: Tensor) -> list[int]:
        with torch.inference_mode():
            return [tokenizer.encode(wav).shape[-1]]  # type: ignore[attr-defined]

    start = time.perf_counter()
    assert list(staged(wavs, partial(own, load, "cpu"), work, threads("cpu")))
    return time.perf_counter() - start


@pytest.mark.parametrize("name", CLIPS)
def test_writing_shards_costs_little_beside_the_encoder(name: str, data: Path, tmp_path: Path) -> None:
    variant, clips = variant_of(name), open_data(str(data), CLIPS[name])
    rate = variant.spec.sample_rate or 0

    def read() -> Iterator[Tensor]:
        return (resample(read_clip(clip).wav, 16_000, rate)[None] for clip in clips.clips)

    wavs = [] if name in FED else list(read())
    named, options = [Tokenized(name, variant)], encoding.Options()
    encoding.tokenize(replace(clips, clips=clips.clips[:2]), named, tmp_path / "warm", options)
    ratios, whole = [], 0.0
    for turn in range(TURNS):
        alone = bare(variant, wavs or read())
        start = time.perf_counter()
        done = encoding.tokenize(clips, named, tmp_path / str(turn), options)
        whole = time.perf_counter() - start
        assert done.fresh == CLIPS[name] and not done.failed
        ratios.append(alone / whole)
    told = f"{statistics.median(ratios):.3f} of the bare encoder (turns: {min(ratios):.3f} to {max(ratios):.3f})"
    print(f"\n{name}: {CLIPS[name] * SECONDS / whole:.0f} x real time, {told}")
    assert statistics.median(ratios) >= LEAST
