"""One point of a sweep, measured: encode and decode apart, each warm, with nothing else going on.

Inside the time is the tokenizer's own work on tensors that lie on its device. Reading, resampling, copying and checking are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import TOKENIZER_FAILED, Codes, Packs, Tokenizer
from bench.plugins import boundary
from bench.throughput import memory
from bench.throughput.execution_modes import Skip, way
from bench.throughput.inputs import Material
from bench.throughput.sweep import Point, Sweep
from bench.throughput.timing import LEAST, timed
from bench.tokens.codes import agreement, check_codes, flat

ROOM = 0.8  # of the memory that the system has left


@dataclass(frozen=True)
class Measured:
    """Encode or decode at a point. Where nothing was measured, `note` says why."""

    point: Point
    side: str
    n: int = 0  # repeats
    p5: float = math.nan  # s a call
    median: float = math.nan
    p95: float = math.nan
    tokens: int = 0  # codes of one call; of a codec of varying rate, bytes
    equal: float = math.nan  # share of codes that are those of the tokenizer as it runs by itself; NaN where that is what was run
    host: float = math.nan  # bytes at the highest, above what the process held before the tokenizer was loaded
    device: float = math.nan  # bytes of tensors on the device at the highest
    joules: float = math.nan  # a call
    note: str = ""

    @property
    def rtfx(self) -> float:
        """Seconds of audio a second, at the median."""
        return self.point.audio / self.median


class Stopwatch:
    """A tokenizer on its device, and what is known of its pace by now."""

    def __init__(self, tokenizer: Tokenizer, device: str, material: Material, limit: float, before: float):
        self.tokenizer, self.device, self.material = tokenizer, device, material
        self.sides = ("encode", "decode") if tokenizer.spec.decodes else ("encode",)
        self.limit = limit  # s that one side of a point may take
        self.before = before  # bytes that this process held before the tokenizer was loaded
        self.pace = 0.0  # s of work for a second of audio, of the slower side
        self.grown: dict[float, float] = {}  # seconds of audio -> bytes that a call took beyond what was held before it

    def sweep(self, sweep: Sweep, done: Mapping[Point, list[Measured]]) -> Iterator[list[Measured]]:
        """The sides of a point at a time, without the points that are done."""
        for point in sweep.points():
            if point not in done:
                yield self.measure(point)
            elif point.plain:
                self._learn(done[point])
        for point in sweep.beyond():
            found = done.get(point) or self.measure(point)
            if point not in done:
                yield found
            if any(side.note for side in found):
                return

    def measure(self, point: Point) -> list[Measured]:
        """Encode, and decode where there is one."""
        if point.mode != "compiled":
            return self._measure(point)
        with ThreadPoolExecutor(1) as apart:  # a compiler that fails leaves torch broken for the thread that called it
            return apart.submit(self._measure, point).result()

    def _measure(self, point: Point) -> list[Measured]:
        given: dict[str, tuple[Tensor, ...]] = {}

        def begin() -> None:
            self._refuse(point)
            wav = self.material.cut(point.batch, point.seconds).to(self.device)
            codes = boundary.encode(self.tokenizer, wav)
            check_codes(codes, self.tokenizer.spec, point.batch)
            given["encode"], given["decode"] = (wav,), codes.parts  # what other ways' codes are compared with

        if why := self._why_not(point, begin):
            return [Measured(point, side, note=why) for side in self.sides]
        found: list[Measured] = []
        for side in self.sides:
            why = self._why_not(point, lambda side=side: found.append(self._side(point, side, given)))
            if why:
                found.append(Measured(point, side, note=why))
        if point.plain:
            self._learn(found)
        return found

    def _why_not(self, point: Point, work: Callable[[], None]) -> str:
        """Does it; the reason where that fails."""
        try:
            with torch.inference_mode(), boundary.guarded(Skip):
                work()
        except Skip as skip:
            return str(skip)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return "out of memory"
        except boundary.Failed as failed:  # of the tokenizer or of a compiler: the point is lost, and told
            return ("" if point.mode == "compiled" else TOKENIZER_FAILED) + str(failed)
        return ""

    def _side(self, point: Point, side: str, given: Mapping[str, tuple[Tensor, ...]]) -> Measured:
        x, codes = given[side], Codes(*given["decode"])
        with way(self.tokenizer, side, point, x) as call:
            before = [part.clone() for part in x]
            made = call(*x)
            if not all(map(torch.equal, x, before)):
                raise Skip(f"{side} changes its input in place: every repeat would time other audio")
            compared = not point.plain and side == "encode"
            equal = agreement(flat(Codes(*made)), flat(codes)) if compared else math.nan
            del made, before
            start = memory.settled()  # with what a first call leaves behind, such as weights in another order: no audio asks for it
            memory.start(self.device)
            call(*x)
            times = timed(lambda: call(*x), self.device)
        host = memory.peak()
        if point.plain and host > start:
            self.grown[point.audio] = max(host - start, self.grown.get(point.audio, 0.0))
        return Measured(
            point,
            side,
            len(times.seconds),
            *(times.at(percent) for percent in (5, 50, 95)),
            tokens=self._tokens(codes),
            equal=equal,
            host=max(0.0, host - self.before),
            device=memory.device_peak(self.device),
            joules=times.joules,
        )

    def _tokens(self, codes: Codes) -> int:
        beside = 0 if codes.side is None else codes.side.numel()
        if isinstance(self.tokenizer, Packs):
            return beside + sum(boundary.bits(self.tokenizer, c[None]) // 8 for c in codes.frames)
        return beside + codes.frames.numel()

    def _refuse(self, point: Point) -> None:
        """Skip for what the points before say would take too long, or more memory than there is."""
        if self.tokenizer.spec.durations and point.batch > 1:
            raise Skip("frames vary in length: one clip at a time")
        seconds, needed = self.pace * point.audio * (LEAST + 2), self._growth(point.audio)
        if seconds > self.limit:
            raise Skip(f"would take about {seconds:.0f} s, the limit is {self.limit:.0f} s")
        if torch.device(self.device).type == "cpu" and needed > ROOM * memory.available():
            raise Skip(f"would need about {needed / 2**30:.1f} GiB, {memory.available() / 2**30:.1f} GiB are left")

    def _growth(self, audio: float) -> float:
        """Bytes that a call on so many seconds of audio may take, by what longer ones than a tenth of it took."""
        if not self.grown:
            return 0.0
        near = min(audio / 10, max(self.grown))  # in a much shorter one, what does not grow with the audio is too large a part
        return audio * max(taken / seconds for seconds, taken in self.grown.items() if seconds >= near)

    def _learn(self, found: list[Measured]) -> None:
        self.pace = max((side.median / side.point.audio for side in found if not side.note), default=self.pace)
