"""What every signal metric shares: which pairs cannot be scored, and work on one pair that several metrics need.

A pair is ref [T] and est [T], float32, on one device, and is not written to while its metrics are being computed.
"""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import wraps
from typing import Generic, TypeVar, TypeVarTuple

from torch import Tensor

from bench.api import Score

SILENCE = 2.0**-16  # peak of half a 16-bit step: what a 16-bit file would store as zeros
LOUDEST = 1e6  # peak: a million times full scale is no audio, and its square leaves float32
Extra = TypeVarTuple("Extra")
Result = TypeVar("Result")


def undefined(note: str) -> Score:
    """The score that cannot be had: NaN with the reason."""
    return Score(math.nan, note=note)


@dataclass(frozen=True)
class _Known(Generic[Result]):
    """A pair, held weakly, and what was found out about it."""

    ref: Callable[[], Tensor | None]
    est: Callable[[], Tensor | None]
    results: dict[Hashable, Result]


def once_per_pair(
    function: Callable[[Tensor, Tensor, int, *Extra], Result],
) -> Callable[[Tensor, Tensor, int, *Extra], Result]:
    """The function, remembering what it gave for the last 8 pairs (the channels of a clip), for each value of its further arguments.

    A pair is known by the identity of its two tensors, held weakly: samples are never compared, and no clip is kept alive.
    """
    known: deque[_Known[Result]] = deque(maxlen=8)

    @wraps(function)
    def remembered(ref: Tensor, est: Tensor, sample_rate: int, *extra: *Extra) -> Result:
        pair = next((pair for pair in tuple(known) if pair.ref() is ref and pair.est() is est), None)
        if pair is None:
            pair = _Known[Result](weakref.ref(ref), weakref.ref(est), {})
            known.append(pair)
        key = (sample_rate, *extra)
        if key not in pair.results:
            pair.results[key] = function(ref, est, sample_rate, *extra)
        return pair.results[key]

    return remembered


@dataclass(frozen=True)
class Peaks:
    """Largest absolute sample of each side; NaN or infinity where a sample is."""

    ref: float
    est: float


@once_per_pair
def _peaks(ref: Tensor, est: Tensor, sample_rate: int) -> Peaks:
    return Peaks(ref.abs().amax().item(), est.abs().amax().item())


def unfit(ref: Tensor, est: Tensor, sample_rate: int, seconds: float = 0.0, loud_estimate: bool = False) -> str:
    """Why this pair cannot be scored, or "" where it can: `seconds` is the shortest clip, `loud_estimate` refuses a silent est too."""
    if ref.ndim != 1 or est.ndim != 1:
        raise ValueError(f"a metric scores one channel: ref [T] and est [T], got {tuple(ref.shape)} and {tuple(est.shape)}")
    if len(ref) != len(est):
        return f"lengths differ: {len(ref)} and {len(est)} samples"
    if len(ref) == 0:
        return "empty clip"
    if len(ref) < seconds * sample_rate:
        return f"shorter than {seconds:g} s"
    peaks = _peaks(ref, est, sample_rate)
    if not peaks.ref <= LOUDEST:
        return "reference has NaN, infinite or huge samples"
    if not peaks.est <= LOUDEST:
        return "estimate has NaN, infinite or huge samples"
    if peaks.ref < SILENCE:
        return "silent reference"
    if loud_estimate and peaks.est < SILENCE:
        return "silent estimate"
    return ""
