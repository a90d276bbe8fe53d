"""What the points of a sweep come down to, by hand."""

import math

import pytest

from bench.throughput.measure import Measured
from bench.throughput.summary import of_sweep
from bench.throughput.sweep import Point, parse

SWEEP = parse("batch=1,8 seconds=1,10 dtype=bfloat16")


def at(batch: int, seconds: float, median: float, dtype: str = "float32", host: float = math.nan) -> Measured:
    return Measured(
        Point(batch, seconds, dtype), "encode", 5, median / 2, median, 2 * median, 100 * batch, host=host, device=5e6, joules=30.0
    )


def found(*measured: Measured) -> dict[Point, list[Measured]]:
    points: dict[Point, list[Measured]] = {}
    for m in measured:
        points.setdefault(m.point, []).append(m)
    return points


POINTS = (
    found(at(1, 1, 0.1, host=1e6), at(1, 10, 1.0, host=3e6), at(8, 1, 0.5), at(8, 10, 4.0), at(8, 10, 1.0, dtype="bfloat16")) | {}
)  # no decode


def test_the_usual_point_is_one_clip_of_ten_seconds_and_latency_that_of_one() -> None:
    figures = of_sweep(SWEEP, POINTS, "cpu", 1)
    assert figures["rtfx_encode"].value == 10.0
    assert (figures["rtfx_encode_p5"].value, figures["rtfx_encode_p95"].value) == (5.0, 20.0)  # a slow repeat is a low speed
    assert (figures["latency_encode_p50_ms"].value, figures["latency_encode_p95_ms"].value) == (100.0, 200.0)
    assert figures["peak_cpu_mem_mb"].value == 3.0


def test_an_hour_of_a_device_is_the_best_float32_point_for_each_of_its_threads() -> None:
    figures = of_sweep(SWEEP, POINTS, "cpu", 2)
    assert figures["encode_hours_per_device_hour"].value == pytest.approx(20.0 / 2)  # 80 s of audio in 4 s, on two cores
    assert figures["encode_hours_per_device_hour"].note == "at 8 x 10 s"
    assert figures["encode_tokens_per_s"].value == 800 / 4.0


def test_what_does_not_decode_has_no_such_figure_and_a_cpu_none_of_a_gpu() -> None:
    figures = of_sweep(SWEEP, POINTS, "cpu", 1)
    assert not [name for name in figures if "decode" in name or "wh_per_audio_hour" in name or "peak_gpu_mem_mb" in name]


def test_a_gpu_has_its_memory_and_its_energy() -> None:
    figures = of_sweep(SWEEP, POINTS, "cuda", 16)
    assert figures["encode_hours_per_device_hour"].value == 20.0 and figures["peak_gpu_mem_mb"].value == 5.0
    assert figures["encode_wh_per_audio_hour"].value == 30.0 / 80  # joules for a second of audio are watt-hours for an hour of it


def test_where_nothing_was_measured_the_reason_stands() -> None:
    why = "would take about 200 s, the limit is 120 s"
    short, usual = (Measured(Point(1, s), "encode", note=why) for s in (1.0, 10.0))
    figures = of_sweep(SWEEP, found(short, usual), "cpu", 1)
    assert all(math.isnan(score.value) and score.note == why for score in figures.values())
    usual = Measured(Point(1, 10.0), "encode", note=why)
    figures = of_sweep(SWEEP, found(at(1, 1, 0.1), usual), "cpu", 1)
    assert figures["encode_hours_per_device_hour"].value == 10.0 and figures["rtfx_encode"].note == why
