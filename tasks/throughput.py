"""Speed on this machine: time, latency, memory, arithmetic, energy, bits.

Timed alone, in one process, on clips of the data joined to the lengths of a sweep (bench/profile): speech, where there is any. Every
other clip is only encoded, for what its codes cost. The rows of the whole corpus hold the figures; sweep.csv beside them holds every point.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch

from bench.api import POSITIVE, Metric, Row, Score, Spec, Suite
from bench.metrics import METRICS, NO_SIGNAL
from bench.throughput import memory, summary, table
from bench.throughput.inputs import Material, material
from bench.throughput.measure import Stopwatch
from bench.throughput.sweep import SMALL, Sweep, parse
from bench.tokens.codes import CodeCounts, rates

if TYPE_CHECKING:
    from bench.api import Session


ARITHMETIC, LIVE = ("parameters_m", "encode_gmac_per_s"), ("lookahead_ms",)


def run(sweep: Sweep, session: Session) -> Iterator[list[Row]]:
    """Times first, while nothing else runs; then the rows of one clip at a time, and the figures."""
    if session.fresh and len(session.todo) == len(session.data.clips):
        table.forget(session.folder)
    sounds = material(session.data.clips, session.spec)
    found = _figures(sweep, session, sounds)
    counts = CodeCounts(session.spec)
    for item in session.reconstructions(session.todo):
        counts.add(item)
        missing = {metric.name: Score(math.nan, note=item.failure) for metric in session.expected(item.clip.domain)}
        yield session.clip_rows(item.clip, missing if item.failure else rates(item), item.seconds)
    for item in session.reconstructions(session.done):  # a resumed run: their codes count too, and were not kept
        counts.add(item)
    timed = [Row("*", sounds.domain, "", name, score.value, note=score.note) for name, score in found.items()]
    for domain in sorted(counts.seconds):
        yield counts.rows(domain) + (timed if domain == sounds.domain else [])


def _figures(sweep: Sweep, session: Session, sounds: Material) -> summary.Figures:
    device, before = session.device, memory.settled()
    loaded = summary.load(session.load)
    watch = Stopwatch(loaded.tokenizer, device, sounds, session.metric_seconds, before)
    for point in watch.sweep(sweep, table.done(session.folder)):
        table.add(session.folder, point)
    usual = sounds.cut(1, sweep.usual).to(device)
    return (
        summary.of_sweep(sweep, table.read(session.folder), device, torch.get_num_threads())
        | {"load_s": _load_time(session.spec, loaded.seconds), "frame_rate": _frame_rate(session.spec)}
        | summary.of_foreign(ARITHMETIC, lambda: summary.of_arithmetic(loaded.tokenizer, usual, sweep.usual))
        | summary.of_foreign(LIVE, lambda: summary.of_live(loaded.tokenizer, device, sounds))
    )


def _load_time(spec: Spec, seconds: float) -> Score:
    return Score(seconds) if spec.trained else Score(math.nan, note="random weights: nothing to load")


def _frame_rate(spec: Spec) -> Score:
    return Score(spec.frame_rate, note="" if math.isfinite(spec.frame_rate) else "variable frame length: see tokens_per_s")


def _figure(name: str, unit: str, better: Literal["higher", "lower", ""], tolerance: float, about: str, fixed: bool = False) -> Metric:
    return Metric(name, unit, better, NO_SIGNAL, tolerance, None, about, "corpus", POSITIVE, fixed)


def _sides(name: str, unit: str, better: Literal["higher", "lower"], tolerance: float, about: str) -> tuple[Metric, ...]:
    return tuple(_figure(name.replace("*", side), unit, better, tolerance, f"{side}: {about}") for side in ("encode", "decode"))


FIGURES = (
    *_sides("rtfx_*", "s/s", "higher", 0.1, "seconds of audio per second of wall time, one clip of 10 s, median of the repeats"),
    *_sides(
        "*_hours_per_device_hour",
        "h/h",
        "higher",
        0.1,
        "hours of audio per hour of one GPU or one CPU core, float32, best point of the sweep",
    ),
    _figure("encode_tokens_per_s", "1/s", "higher", 1, "tokens per second of wall time at that point (bytes for variable-rate codecs)"),
    *_sides("latency_*_p50_ms", "ms", "lower", 0.1, "wall time of one clip of the sweep's shortest length (1 s), median"),
    *_sides("latency_*_p95_ms", "ms", "lower", 0.1, "the same, 95th percentile"),
    _figure("lookahead_ms", "ms", "lower", 1, "algorithmic latency: empirical lower bound, measured by perturbing future samples"),
    _figure("stream_hop_ms", "ms", "", 0.1, "chunk size of the stream: the codec's own frame"),
    _figure("stream_first_ms", "ms", "lower", 0.1, "time to first audio: input that must arrive, plus processing time"),
    _figure("stream_chunk_p50_ms", "ms", "lower", 0.1, "per-chunk processing time, encode and decode, from and to the CPU, median"),
    _figure("stream_chunk_p95_ms", "ms", "lower", 0.1, "the same, 95th percentile"),
    _figure("stream_late", "share", "lower", 0.001, "fraction of chunks that miss the real-time deadline"),
    _figure("frame_rate", "Hz", "", 0.01, "frames per second, from the codebooks"),
    _figure("parameters_m", "M", "lower", 0.01, "parameters including codebooks, millions", fixed=True),
    *_sides("*_gmac_per_s", "GMAC/s", "lower", 0.001, "multiply-accumulates per second of audio, without Fourier transforms"),
    _figure("load_s", "s", "lower", 0.01, "load time with files in the system's cache, median of 3"),
    _figure("peak_cpu_mem_mb", "MB", "lower", 1, "peak memory of the process above what it had before loading, one clip of 10 s"),
    _figure("peak_gpu_mem_mb", "MB", "lower", 1, "peak memory of tensors on the GPU, one clip of 10 s"),
    *_sides("*_wh_per_audio_hour", "Wh/h", "lower", 0.1, "GPU energy per hour of audio at the point of hours_per_device_hour (NVML)"),
    *_sides("rtfx_*_p5", "s/s", "higher", 0.1, "rtfx, 5th percentile of the repeats"),
    *_sides("rtfx_*_p95", "s/s", "higher", 0.1, "rtfx, 95th percentile of the repeats"),
)
RATES = tuple(METRICS[name] for name in ("tokens_per_s", "kbps_packed", "kbps_nominal", "kbps_entropy"))


def suite(sweep: Sweep) -> Suite:
    """The suite with that sweep."""
    return Suite(
        name="throughput",
        version=2,
        about="speed, latency, memory, arithmetic and energy on one machine, alone in one process",
        metrics=(*FIGURES, *RATES),
        data="mini",
        run=partial(run, sweep),
        needs_decode=False,
        sweep=str(sweep),
        with_sweep=lambda text: suite(parse(text)),
        headline=("kbps_packed", "rtfx_encode", "rtfx_decode", "lookahead_ms", "stream_first_ms", "parameters_m", "peak_cpu_mem_mb"),
        overview=("kbps_packed", "tokens_per_s", "rtfx_encode", "rtfx_decode"),
    )


SUITE = suite(SMALL)
