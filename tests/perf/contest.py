"""A contest: our codec against the public implementations, with the same weights on the same sound, and the proof that all do the same."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.parity.ties import Level, ties

Call = Callable[[], object]


@dataclass(frozen=True)
class Contest:
    """One direction of one codec: calls by name, ours first. `gmacs`: 10^9 multiply-accumulates a second of audio; 0: not counted."""

    name: str
    calls: dict[str, Call]
    equal: Callable[[], str]  # AssertionError where ours and the official code do not do the same
    gmacs: float = 0.0


Contests = Callable[[int, float, str], Iterator[Contest]]
"""(batch, seconds, device) -> the contests of a family."""


def timed(call: Call, device: str, clock: Callable[[], float]) -> float:
    """Seconds of one call."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = clock()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def in_turns(calls: Mapping[str, Call], device: str, turns: int, clock: Callable[[], float] = time.perf_counter) -> dict[str, list[float]]:
    """Seconds of each call in each turn, after one that warms up; who begins changes from turn to turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(turns + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds = timed(calls[name], device, clock)
            if turn:
                times[name].append(seconds)
    return times


def ratio(theirs: list[float], ours: list[float]) -> str:
    """The median over turns of their time over ours, with the smallest and the largest."""
    ratios = sorted(a / b for a, b in zip(theirs, ours, strict=True))
    return f"{statistics.median(ratios):5.2f} x [{ratios[0]:.2f}, {ratios[-1]:.2f}]"


def same_codes(codes: Tensor, expected: Tensor, levels: Iterable[Level]) -> str:
    """How equal codes [B, K, F] are: on a CPU but for proven ties, on a GPU, which may multiply with fewer digits, nearly all."""
    share = (codes == expected).double().mean().item()
    if codes.device.type == "cpu":
        return f"{100 * share:.3f} % of {codes.numel()} codes equal, {ties(codes, expected, levels)} ties"
    assert share > 0.98, f"{share:.4%} of the codes are equal"
    return f"{100 * share:.3f} % of {codes.numel()} codes equal"


def same_audio(wav: Tensor, expected: Tensor) -> str:
    """The largest difference."""
    error = (wav - expected).abs().max().item()
    assert error <= (1e-5 if wav.device.type == "cpu" else 1e-3), f"audio differs by {error:.1e}"
    return f"audio within {error:.0e}"
