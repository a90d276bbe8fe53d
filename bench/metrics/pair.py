"""What every signal metric shares: clips in pairs, which of them cannot be scored, and work that several metrics need.

A metric's kernel scores many pairs at once, of any lengths, on the device where they lie; `metric` makes of it what one calls for one
pair. Signals are float32 and are not written to while their metrics are being computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, update_wrapper, wraps
from typing import TypeVar, TypeVarTuple, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from bench.api import Score

SILENCE = 2.0**-16  # peak of half a 16-bit step: what a 16-bit file would store as zeros
LOUDEST = 1e6  # peak: a million times full scale is no audio, and its square leaves float32
Extra = TypeVarTuple("Extra")
Result = TypeVar("Result")


def undefined(note: str) -> Score:
    """The score that cannot be had: NaN with the reason."""
    return Score(math.nan, note=note)


@dataclass(frozen=True)
class Sides:
    """Both sides of some pairs in one array each."""

    ref: Tensor
    est: Tensor


class Pairs:
    """ref [T] and est [T] of some clips at one rate, on one device; each clip has its own length."""

    def __init__(self, pairs: Iterable[tuple[Tensor, Tensor]], sample_rate: int):
        self.each, self.sample_rate = tuple(pairs), sample_rate
        self.refs, self.ests = [ref for ref, _ in self.each], [est for _, est in self.each]
        self.known: dict[Hashable, object] = {}  # what `shared` functions found out
        for ref, est in self.each:
            if ref.ndim != 1 or est.ndim != 1:
                raise ValueError(f"a metric scores one channel: ref [T] and est [T], got {tuple(ref.shape)} and {tuple(est.shape)}")

    def __len__(self) -> int:
        return len(self.each)

    @property
    def device(self) -> torch.device:
        """Of the signals."""
        return self.refs[0].device

    @cached_property
    def lengths(self) -> Tensor:
        """[B] samples."""
        return torch.tensor([len(ref) for ref in self.refs], device=self.device)

    @cached_property
    def padded(self) -> Sides:
        """Signals [B, T], zeros after the end of each."""
        if len(self) == 1:
            return Sides(self.refs[0][None], self.ests[0][None])
        return Sides(*(pad_sequence(side, batch_first=True) for side in (self.refs, self.ests)))

    def some(self, chosen: Sequence[int]) -> Pairs:
        """The pairs with these numbers; all of them are these very Pairs."""
        if len(chosen) == len(self):
            return self
        key = (Pairs.some, *chosen)
        if key not in self.known:
            self.known[key] = Pairs([self.each[i] for i in chosen], self.sample_rate)
        return cast(Pairs, self.known[key])

    def unfit(self, seconds: float = 0.0, loud_estimate: bool = False) -> list[str]:
        """Why each pair cannot be scored, "" where it can: `seconds` is the shortest clip, `loud_estimate` refuses a silent est too."""
        shapes = [_misshapen(ref, est) for ref, est in self.each]
        whole = [i for i, note in enumerate(shapes) if not note]
        peaks = dict(zip(whole, _peaks(self.some(whole)), strict=True)) if whole else {}
        shortest = seconds * self.sample_rate
        return [
            note or (f"shorter than {seconds:g} s" if len(self.refs[i]) < shortest else peaks[i].unfit(loud_estimate))
            for i, note in enumerate(shapes)
        ]


def _misshapen(ref: Tensor, est: Tensor) -> str:
    if len(ref) != len(est):
        return f"lengths differ: {len(ref)} and {len(est)} samples"
    return "" if len(ref) else "empty clip"


def shared(function: Callable[[Pairs, *Extra], Result]) -> Callable[[Pairs, *Extra], Result]:
    """The function, working once for the same Pairs and the same further arguments."""

    @wraps(function)
    def remembered(pairs: Pairs, *extra: *Extra) -> Result:
        key = (function, *extra)
        if key not in pairs.known:
            pairs.known[key] = function(pairs, *extra)
        return cast(Result, pairs.known[key])

    return remembered


@dataclass(frozen=True)
class Peaks:
    """Largest absolute sample of each side; NaN or infinity where a sample is."""

    ref: float
    est: float

    def unfit(self, loud_estimate: bool) -> str:
        """Why a clip with these cannot be scored, or ""."""
        if not self.ref <= LOUDEST:
            return "reference has NaN, infinite or huge samples"
        if not self.est <= LOUDEST:
            return "estimate has NaN, infinite or huge samples"
        if self.ref < SILENCE:
            return "silent reference"
        return "silent estimate" if loud_estimate and self.est < SILENCE else ""


@shared
def _peaks(pairs: Pairs) -> list[Peaks]:
    sides = pairs.padded
    return [Peaks(*both) for both in torch.stack([sides.ref.abs().amax(-1), sides.est.abs().amax(-1)], -1).tolist()]


class SignalMetric:
    """A metric of two signals. Called, it scores one pair: ref [T], est [T], Hz; `batch` scores many at once."""

    def __init__(self, kernel: Callable[[Pairs], Sequence[Score]], seconds: float, loud_estimate: bool, on_cpu: bool):
        self.kernel, self.seconds, self.loud_estimate = kernel, seconds, loud_estimate
        self.on_cpu = on_cpu  # wherever the signals lie
        update_wrapper(self, kernel)

    def __call__(self, ref: Tensor, est: Tensor, sample_rate: int) -> Score:
        return self.batch(Pairs([(ref, est)], sample_rate))[0]

    def batch(self, pairs: Pairs) -> list[Score]:
        """A score for each pair; NaN with a note where there is none."""
        notes = pairs.unfit(self.seconds, self.loud_estimate)
        fit = [i for i, note in enumerate(notes) if not note]
        found = dict(zip(fit, self.kernel(pairs.some(fit)), strict=True)) if fit else {}
        return [found[i] if i in found else undefined(note) for i, note in enumerate(notes)]


def metric(
    seconds: float = 0.0, loud_estimate: bool = False, on_cpu: bool = False
) -> Callable[[Callable[[Pairs], Sequence[Score]]], SignalMetric]:
    """Makes a SignalMetric of a kernel that gives a Score for each pair; the kernel is never given one that is unfit."""
    return lambda kernel: SignalMetric(kernel, seconds, loud_estimate, on_cpu)
