"""PESQ as MOS-LQO by the package `pesq` (ITU-T's C code): pesq_wb (P.862.2, 16 kHz) and pesq_nb (P.862.1, 8 kHz); never the raw score.

Its C code takes what it should refuse (unequal lengths, half a second) and dies by SIGSEGV on more than about 50 utterances in a call.
So everything is checked before the call, a call gets at most 30 s, and metrics run in worker processes that may die.
"""

from __future__ import annotations

from math import ceil
from types import ModuleType
from typing import Literal

from torch import Tensor

from bench.api import Score, UserError
from bench.metrics.pair import SILENCE, Pairs, metric, undefined

SHORTEST = 1.0  # s: below, the C code gives meaningless numbers
LONGEST = 30.0  # s a call
RATES = {"wb": (16_000,), "nb": (8_000, 16_000)}  # what the C code is defined for; the column uses the first


def _pesq(pairs: Pairs, mode: Literal["wb", "nb"]) -> list[Score]:
    """The C code on one pair after the other; it stays on the CPU."""
    try:
        import pesq
    except ImportError:
        raise UserError(f"pesq_{mode} needs pesq: pip install 'audio-tokenizer-bench[pesq]'") from None
    rate = pairs.sample_rate
    if rate not in RATES[mode]:
        return [undefined(f"PESQ {mode} is not defined at {rate} Hz")] * len(pairs)
    return [_of_pair(pesq, ref.cpu(), est.cpu(), rate, mode) for ref, est in pairs.each]


def _of_pair(pesq: ModuleType, ref: Tensor, est: Tensor, sample_rate: int, mode: Literal["wb", "nb"]) -> Score:
    """Mean over windows of at most 30 s, weighted by length; windows without speech are left out, as the standard leaves out pauses."""
    windows = ceil(len(ref) / (LONGEST * sample_rate))
    total, weight, note = 0.0, 0, "no utterance found"
    for a, b in zip(ref.tensor_split(windows), est.tensor_split(windows), strict=True):
        if a.abs().amax() < SILENCE or b.abs().amax() < SILENCE:
            continue
        try:
            value = pesq.pesq(sample_rate, a.numpy(), b.numpy(), mode)
        except pesq.NoUtterancesError:
            continue
        except (pesq.BufferTooShortError, pesq.OutOfMemoryError, pesq.InvalidSampleRateError, pesq.PesqError, ValueError) as error:
            return undefined(f"pesq: {type(error).__name__}: {error}")
        total, weight = total + value * len(a), weight + len(a)
    return Score(total / weight) if weight else undefined(note)


@metric(SHORTEST, loud_estimate=True, on_cpu=True)
def pesq_wb(pairs: Pairs) -> list[Score]:
    """Wide-band MOS-LQO, 1.04..4.64, higher is better (ITU-T P.862.2, 16 kHz)."""
    return _pesq(pairs, "wb")


@metric(SHORTEST, loud_estimate=True, on_cpu=True)
def pesq_nb(pairs: Pairs) -> list[Score]:
    """Narrow-band MOS-LQO, 1.02..4.55, higher is better (ITU-T P.862.1, 8 kHz); not convertible into pesq_wb."""
    return _pesq(pairs, "nb")
