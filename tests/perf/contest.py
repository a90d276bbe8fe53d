"""A contest: our codec against the public implementations, with the same weights on the same sound, and the proof that all do the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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
