"""Clips that are longer than a tokenizer takes (`Spec.longest`): where they are cut, by their length or by their codes alone.

Pieces are whole frames. Every piece but the first is coded and decoded with `Spec.context` of what comes before it, which is dropped
again. A tokenizer that states a longest clip gives a frame for each hop that has begun (of a block, for each in blocks that have begun),
so that the number of frames says where the pieces are; what it gives beyond them is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import Codes, Spec

SLACK = 1e-6  # of a frame: rounding of rates


@dataclass(frozen=True)
class Piece:
    """Frames `start` to `stop`, of which `context` before `start` go along and are dropped."""

    start: int
    stop: int
    context: int

    @property
    def first(self) -> int:
        return self.start - self.context


@dataclass(frozen=True)
class Cutting:
    """The arithmetic of one tokenizer, whose spec states a longest clip, a sample rate and a frame rate."""

    spec: Spec

    @property
    def hop(self) -> float:
        """Samples a frame."""
        return (self.spec.sample_rate or 0) / self.spec.frame_rate

    @property
    def unit(self) -> int:
        """Frames that come together: those of a block."""
        return max(1, round(self.spec.block / self.hop))

    @property
    def longest(self) -> int:
        """Frames of the longest clip."""
        return math.floor((self.spec.longest or 0) * self.spec.frame_rate / self.unit + SLACK) * self.unit

    @property
    def context(self) -> int:
        """Frames of context."""
        return math.ceil(self.spec.context * self.spec.frame_rate / self.unit - SLACK) * self.unit

    def frames(self, samples: int) -> int:
        """Of so many samples."""
        return math.ceil(samples / (self.hop * self.unit) - SLACK) * self.unit

    def pieces(self, frames: int) -> list[Piece]:
        """One where the clip is not too long; else as many as it takes, the last one shorter."""
        if frames <= self.longest:
            return [Piece(0, frames, 0)]
        step = self.longest - self.context
        return [Piece(start, min(start + step, frames), min(self.context, start)) for start in range(0, frames, step)]

    def sample(self, frame: int) -> int:
        """Where a frame begins."""
        return round(frame * self.hop)


def seams(spec: Spec, samples: int) -> tuple[float, ...]:
    """Seconds at which a clip of so many samples is cut; none where it is coded whole."""
    if spec.longest is None:
        return ()
    cutting = Cutting(spec)
    return tuple(cutting.sample(piece.start) / (spec.sample_rate or 1) for piece in cutting.pieces(cutting.frames(samples))[1:])


def told(spec: Spec, cuts: int) -> str:
    """What is said of a clip that was cut so many times; "" of one that was not."""
    before = f", each with {spec.context:g} s of what comes before" if spec.context else ""
    return f"longer than the {spec.longest:g} s that {spec.label} takes: cut into {cuts + 1} pieces{before}" if cuts else ""


def encode(spec: Spec, wav: Tensor, one: Callable[[Tensor], Codes]) -> Codes:
    """wav [B, C, T] -> codes of all pieces, each coded by `one`; each piece has side codes of its own."""
    if spec.longest is None:
        return one(wav)
    cutting, length = Cutting(spec), wav.shape[-1]
    frames: list[Tensor] = []
    sides: list[Tensor] = []
    for piece in cutting.pieces(cutting.frames(length)):
        part = wav[..., cutting.sample(piece.first) : min(length, cutting.sample(piece.stop))]
        codes, wanted = one(part.clone()), piece.stop - piece.first  # a copy: pieces share their context
        found = codes.frames.shape[-1]
        if found < wanted:
            rule = f"a tokenizer that states Spec.longest gives one for each hop that has begun, here {wanted}"
            raise ValueError(f"encode gave {found} frames for {part.shape[-1]} samples: {rule}")
        frames.append(codes.frames[..., piece.context : wanted])
        sides += [] if codes.side is None else [codes.side]
    return Codes(torch.cat(frames, dim=-1), torch.cat(sides, dim=-1) if sides else None)


def decode(spec: Spec, codes: Codes, rate: float, one: Callable[[Codes, int], Tensor]) -> Tensor:
    """codes -> wav [B, C, T'] of all pieces, each decoded by one(codes, its number) at `rate` Hz.

    What the decoder does not return of a piece before the last is zero.
    """
    if spec.longest is None:
        return one(codes, 0)
    cutting, hop = Cutting(spec), rate / spec.frame_rate
    whole, heard = cutting.pieces(codes.frames.shape[-1]), []
    for number, piece in enumerate(whole):
        start, stop = round(piece.first * hop), round(piece.stop * hop)
        side = None if codes.side is None else codes.side[..., number : number + 1].clone()
        wav = one(Codes(codes.frames[..., piece.first : piece.stop].clone(), side), number)[..., round(piece.start * hop) - start :]
        kept = stop - round(piece.start * hop)
        last = number == len(whole) - 1
        heard.append(wav if last else torch.nn.functional.pad(wav[..., :kept], (0, max(0, kept - wav.shape[-1]))))
    return torch.cat(heard, dim=-1)
