"""Timing on a GPU. Skipped where there is none."""

import math

import pytest
import torch

from bench import registry
from bench.records import hardware
from bench.throughput import memory
from bench.throughput.inputs import Material
from bench.throughput.measure import Stopwatch
from bench.throughput.sweep import Point
from bench.throughput.timing import once, timed

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")]


def test_a_call_is_timed_until_its_kernels_are_done() -> None:
    a = torch.randn(4096, 4096, device="cuda")

    def work(times: int) -> None:
        for _ in range(times):
            torch.mm(a, a)

    work(3)
    few, many = (min(once(lambda n=n: work(n), "cuda") for _ in range(5)) for n in (4, 64))
    assert many > 8 * few  # launching takes the same for each: only the kernels' own time grows so


def test_the_peak_is_that_of_tensors_on_the_device() -> None:
    memory.start("cuda")
    before = memory.device_peak("cuda")
    torch.ones(25_000_000, device="cuda")
    assert memory.device_peak("cuda") == pytest.approx(before + 100e6, rel=0.05)


@pytest.mark.parametrize("point", [Point(2, 1.0), Point(2, 1.0, "float32", "graph"), Point(2, 1.0, "bfloat16")], ids=str)
def test_a_codec_is_measured_or_says_why_not(point: Point) -> None:
    tokenizer = registry.load_tokenizer("mimi@tiny", "cuda")
    watch = Stopwatch(tokenizer, "cuda", Material(torch.randn(1, 48_000) / 9, 24_000, "speech"), 120.0, 0.0)
    for side in watch.measure(point):
        assert side.note or (side.median > 0 and side.device > 0)
    assert not watch.measure(Point(1, 1.0))[0].note  # whatever the others did, the next point is fine


def test_the_machine_is_named_with_its_driver() -> None:
    facts = hardware.speed("cuda")
    assert facts["processor"] == torch.cuda.get_device_name() and facts["driver"]


def test_energy_is_that_of_a_call_or_nan() -> None:
    a = torch.randn(4096, 4096, device="cuda")
    joules = timed(lambda: torch.mm(a, a), "cuda").joules
    assert math.isnan(joules) or joules >= 0
