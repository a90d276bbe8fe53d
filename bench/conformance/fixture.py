"""A tokenizer under test: what every rule (rules.py) needs to know of it, and the shapes that all look at.

wav is [B, C, T] float32, codes are int64. A rule that finds the contract broken raises Broken with one line that says how.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from bench.api import Codes, Spec, Tokenizer, Variant
from bench.data import synthetic_audio
from bench.plugins import boundary
from bench.tokens.codes import agreement, check_codes, flat

ANY_RATE = 16_000  # Hz, for a tokenizer that takes any
AUDIO_TOLERANCE = 1e-4  # largest difference of two decodes of the same codes that reached them in different ways
GPU_SHARE = 0.999  # of codes that must be equal where sums run in another order; on a CPU all must


class Broken(Exception):
    """The contract is not kept."""


class Warn(Exception):
    """The contract is kept, but something about it should be better."""


class Skip(Exception):
    """The check does not apply."""


@dataclass(frozen=True)
class Subject:
    """A tokenizer under test and what every check needs to know of it."""

    variant: Variant
    tokenizer: Tokenizer
    fresh: Callable[[], Tokenizer]  # another instance of the same
    device: str
    seed: int

    @property
    def spec(self) -> Spec:
        return self.tokenizer.spec

    @property
    def rate(self) -> int:
        return self.spec.sample_rate or ANY_RATE

    @property
    def output_rate(self) -> int:
        return self.spec.output_rate or self.rate

    @property
    def some(self) -> int:
        """Clips that are given at once: one where they have unlike numbers of frames."""
        return 1 if self.spec.durations else 2

    @cached_property
    def hop(self) -> float:
        """Samples a frame; where the spec states no rate, as seen on 10 s (a little short if the codec appends frames)."""
        if math.isfinite(self.spec.frame_rate):
            return self.rate / self.spec.frame_rate
        length = 10 * self.rate
        return length / self.encode(self.voice(length)).frames.shape[-1]

    def encode(self, wav: Tensor, by: Tokenizer | None = None) -> Codes:
        """Codes of a copy of wav, by this instance or another."""
        return boundary.encode(by or self.tokenizer, wav)

    def decode(self, codes: Codes, by: Tokenizer | None = None, first: int = 0) -> Tensor:
        """Audio of a copy of codes, by this instance or another. A decoder that draws gets the seeds first, first + 1, ... of the items."""
        return boundary.decode(by or self.tokenizer, codes, range(first, first + len(codes.frames)))

    def voice(self, length: int, batch: int = 1, seed: int = 0) -> Tensor:
        """wav [B, C, length]."""
        return synthetic_audio.voice((batch, self.spec.channels, length), self.rate, self.seed + seed).to(self.device)

    def whole_frames(self, length: int) -> int:
        """Frames that lie inside `length` samples for certain."""
        return int(length / self.hop + 1e-6) - (0 if math.isfinite(self.spec.frame_rate) else 1)

    def agree(self, a: Tensor, b: Tensor, what: str) -> str:
        """Codes that must be equal."""
        if a.shape != b.shape:
            raise Broken(f"{what}: {list(a.shape)} against {list(b.shape)} codes")
        share = agreement(a, b)
        if share < (1.0 if self.device == "cpu" else GPU_SHARE):
            raise Broken(f"{what}: {100 * share:.2f} % of the codes are equal")
        return f"{100 * share:.4g} % of {a.numel()} codes equal"

    def same(self, a: Codes, b: Codes, what: str) -> str:
        """The same of all codes, side codes among them."""
        if a.frames.shape != b.frames.shape:
            raise Broken(f"{what}: {list(a.frames.shape)} against {list(b.frames.shape)} codes")
        return self.agree(flat(a), flat(b), what)


def same_audio(a: Tensor, b: Tensor, what: str) -> str:
    """Audio that must be equal but for rounding."""
    if a.shape != b.shape:
        raise Broken(f"{what}: {list(a.shape)} against {list(b.shape)} samples")
    worst = float((a - b).abs().max()) if a.numel() else 0.0
    if not worst <= AUDIO_TOLERANCE:
        raise Broken(f"{what}: audio differs by {worst:.2g}")
    return f"audio within {worst:.2g}"


def good_codes(s: Subject, wav: Tensor) -> Codes:
    """Codes of wav, after their shape, dtype and range were looked at."""
    codes = s.encode(wav)
    try:
        check_codes(codes, s.spec, len(wav))
    except ValueError as error:
        raise Broken(f"of {list(wav.shape)} samples: {error}") from error
    return codes


def good_audio(s: Subject, codes: Codes, length: int) -> Tensor:
    """Audio of codes, after its shape, dtype, values and length were looked at. A tail shorter than a frame may be missing."""
    wav, owed, frame = s.decode(codes), s.spec.decoded(length), s.hop * s.output_rate / s.rate
    if wav.dtype != torch.float32 or wav.ndim != 3 or wav.shape[:2] != (len(codes.frames), s.spec.channels):
        raise Broken(f"audio is {list(wav.shape)} {wav.dtype}, not [{len(codes.frames)}, {s.spec.channels}, T] float32")
    if not bool(torch.isfinite(wav).all()):
        raise Broken(f"audio of {length} samples has {int((~torch.isfinite(wav)).sum())} NaN or infinite ones")
    if owed - wav.shape[-1] >= max(frame, 1):
        at = f" at {s.rate} Hz, {owed} at {s.output_rate} Hz," if s.output_rate != s.rate else ""
        raise Broken(f"{length} samples{at} came back as {wav.shape[-1]}: more than a frame is missing")
    return wav
