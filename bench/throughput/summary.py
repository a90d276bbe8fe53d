"""The columns of the suite, from a sweep, a stream and a count. NaN has its reason; what does not apply is left out."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import TOKENIZER_FAILED, Score, Streams, Tokenizer
from bench.data import synthetic_audio
from bench.engine.autocast import layers
from bench.plugins import boundary
from bench.records import gpu_energy
from bench.throughput import macs, streaming, table
from bench.throughput.inputs import Material
from bench.throughput.measure import Measured
from bench.throughput.sweep import Point, Sweep

LOADS = 3
LISTENED = 2.0  # s of audio in which the future is changed
Figures = dict[str, Score]


@dataclass(frozen=True)
class Loaded:
    """A tokenizer, and how long it took, the median of LOADS."""

    tokenizer: Tokenizer
    seconds: float


def load(loader: Callable[[], Tokenizer]) -> Loaded:
    """Files are in the system's cache from the second time on."""
    seconds: list[float] = []
    while True:
        start = time.perf_counter()
        tokenizer = loader()
        seconds.append(time.perf_counter() - start)
        if len(seconds) == LOADS:
            return Loaded(tokenizer, statistics.median(seconds))
        del tokenizer  # never two at once


def of_sweep(sweep: Sweep, found: dict[Point, list[Measured]], device: str, threads: int) -> Figures:
    """Speed of one clip of the usual length, latency of the shortest one, and the most that the device gives."""
    cuda = torch.device(device).type == "cuda"
    figures: Figures = {}
    for side in ("encode", "decode"):
        by_point = {m.point: m for sides in found.values() for m in sides if m.side == side}
        if not by_point:
            continue
        usual, short = by_point[Point(1, sweep.usual)], by_point[Point(1, min(sweep.seconds))]
        audio = usual.point.audio
        figures[f"rtfx_{side}"] = Score(usual.rtfx, note=usual.note)
        figures[f"rtfx_{side}_p5"] = Score(audio / usual.p95, note=usual.note)
        figures[f"rtfx_{side}_p95"] = Score(audio / usual.p5, note=usual.note)
        figures[f"latency_{side}_p50_ms"] = Score(1000 * short.median, note=short.note)
        figures[f"latency_{side}_p95_ms"] = Score(1000 * short.p95, note=short.note)
        figures["peak_cpu_mem_mb"] = _largest(
            "peak_cpu_mem_mb", usual.host, figures, usual.note or "this system does not report a process's peak memory"
        )
        if cuda:
            figures["peak_gpu_mem_mb"] = _largest("peak_gpu_mem_mb", usual.device, figures, usual.note)
        best = max(table.plain(found, side), key=lambda m: m.rtfx, default=usual)
        at = best.note or f"at {best.point.batch} x {best.point.seconds:g} s"
        figures[f"{side}_hours_per_device_hour"] = Score(best.rtfx / (1 if cuda else threads), note=at)
        if cuda:
            watts = best.joules / best.point.audio
            figures[f"{side}_wh_per_audio_hour"] = Score(watts, note=gpu_energy.MISSING if math.isnan(watts) else at)
        if side == "encode":
            figures["encode_tokens_per_s"] = Score(best.tokens / best.median, note=at)
    return figures


def of_foreign(names: Sequence[str], figures: Callable[[], Figures]) -> Figures:
    """The figures; where the tokenizer fails meanwhile, NaN with the reason in place of those names."""
    try:
        with boundary.guarded():
            return figures()
    except boundary.Failed as failed:
        return {name: Score(math.nan, note=TOKENIZER_FAILED + str(failed)) for name in names}


def _largest(name: str, found: float, figures: Figures, why: str) -> Score:
    before = figures.get(name, Score(math.nan)).value
    known = [value / 1e6 for value in (found,) if not math.isnan(value)] + [before] * (not math.isnan(before))
    return Score(max(known)) if known else Score(math.nan, note=why)


def of_arithmetic(tokenizer: Tokenizer, wav: Tensor, seconds: float) -> Figures:
    """Parameters, and multiply-accumulates for a second of audio; wav [1, C, T] of so many seconds, on the device."""
    sides = ("encode", "decode") if tokenizer.spec.decodes else ("encode",)
    if not layers(tokenizer):
        return {name: Score(math.nan, note=macs.LIBRARY) for name in ("parameters_m", *(f"{side}_gmac_per_s" for side in sides))}
    figures = {"parameters_m": Score(macs.parameters(tokenizer) / 1e6)}
    codes = boundary.encode(tokenizer, wav)
    calls = {"encode": lambda: boundary.encode(tokenizer, wav), "decode": lambda: boundary.decode(tokenizer, codes)}
    return figures | {f"{side}_gmac_per_s": Score(macs.macs(calls[side]) / seconds / 1e9) for side in sides}


def of_live(tokenizer: Tokenizer, device: str, material: Material) -> Figures:
    """What a listener waits for. A codec of varying frames has no frame to change the future by, and one that does not stream no pieces."""
    spec, rate, figures = tokenizer.spec, material.rate, Figures()
    hop = rate / spec.frame_rate
    wav = material.cut(1, LISTENED).to(device)
    other = synthetic_audio.noise(tuple(wav.shape), seed=0, level=0.5).clamp(-1, 1).to(device)  # as unlike speech as can be
    if math.isnan(hop):
        with torch.inference_mode():
            hop = wav.shape[-1] / boundary.encode(tokenizer, wav).frames.shape[-1]
    samples = streaming.lookahead(tokenizer, wav, other, hop)
    whole = Score(math.nan, note="the end of a clip changes its start: no output before all input has arrived")
    figures["lookahead_ms"] = Score(1000 * samples / rate) if math.isfinite(samples) else whole
    if isinstance(tokenizer, Streams):
        found = streaming.streamed(tokenizer, device, material.cut(1, 1 + streaming.CHUNKS * hop / rate), round(hop), rate)
        figures["stream_hop_ms"] = Score(1000 * found.hop)
        figures["stream_first_ms"] = Score(1000 * found.first)
        figures["stream_chunk_p50_ms"] = Score(1000 * found.at(50))
        figures["stream_chunk_p95_ms"] = Score(1000 * found.at(95))
        figures["stream_late"] = Score(found.late)
    return figures
