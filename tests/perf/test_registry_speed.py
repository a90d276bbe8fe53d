"""Encode and decode of every tokenizer that needs no download, as ratios to a yardstick. `make bench` runs this and says pass or fail.

The yardstick, a fixed convolution and a fixed matrix product, is timed before every round, so that what slows the machine slows both; the
ratio, of the least times of both, is what is stored and compared (tests/perf/ratios.py). Time is the processor's, not the wall's, so that
other work on the machine does not count; one thread: OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench import registry
from bench.api import Variant
from bench.data import synthetic_audio
from bench.weights import download

pytestmark = [pytest.mark.perf, pytest.mark.benchmark(timer=time.process_time)]
ROUNDS, WARM = 30, 2


def here(variant: Variant) -> bool:
    return all(not file.url and download.shipped(file.file).is_file() for file in variant.files)


def chosen() -> list[str]:
    """The first variant of every family and file of weights that is here."""
    first: dict[tuple[str, str], str] = {}
    for variants in registry.families().values():
        for variant in variants.values():
            if here(variant):
                first.setdefault((variant.spec.name, variant.spec.weights), variant.spec.label)
    return list(first.values())


class Yardstick:
    """How long a fixed piece of work takes, again and again."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.matrix = torch.randn(384, 384, generator=generator)
        self.signal, self.kernel = torch.randn(1, 64, 2400, generator=generator), torch.randn(64, 64, 7, generator=generator)
        self.seconds: list[float] = []

    def __call__(self) -> None:
        start = time.process_time()
        _ = self.matrix @ self.matrix
        torch.conv1d(self.signal, self.kernel)
        self.seconds.append(time.process_time() - start)


@pytest.mark.parametrize("side", ["encode", "decode"])
@pytest.mark.parametrize("name", chosen())
def test_speed(benchmark, name: str, side: str) -> None:
    tokenizer = registry.load_tokenizer(name)
    if side == "decode" and not tokenizer.spec.decodes:
        pytest.skip("encodes only")
    rate = tokenizer.spec.sample_rate or 16_000
    x = synthetic_audio.voice((1, tokenizer.spec.channels, rate), rate, 0)
    with torch.inference_mode():
        if side == "decode":
            x = tokenizer.encode(x)
        call: Callable[[Tensor], Tensor] = tokenizer.encode if side == "encode" else tokenizer.decode
        yardstick = Yardstick()
        benchmark.pedantic(call, (x,), setup=lambda: yardstick(), rounds=ROUNDS, warmup_rounds=WARM)
    if benchmark.stats is not None:  # None under --benchmark-disable
        benchmark.extra_info["ratio"] = min(benchmark.stats.stats.data) / min(yardstick.seconds)
        benchmark.extra_info["threads"] = torch.get_num_threads()
