"""Streaming: time to first audio, missed deadlines, and the algorithmic latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.api import Codes, Tokenizer
from bench.plugins import boundary, calls
from bench.plugins.calls import Live
from bench.throughput.timing import once

CHUNKS = 100  # at most
SHARE = 16  # places in a frame from which the future is changed
FRAMES = 2  # so many frames of them
AUDIBLE = 1e-4  # a smaller change of a sample is rounding


@dataclass(frozen=True)
class Streamed:
    """Pieces of one frame each, from samples on the CPU to samples on the CPU (to codes, where nothing is decoded)."""

    hop: float  # s of a piece
    seconds: tuple[float, ...]  # of work for each
    silent: int  # pieces before the first that gave something

    @property
    def first(self) -> float:
        """s from the first sample said to the first one heard: the pieces that had to come in, and the work on the last of them."""
        return (self.silent + 1) * self.hop + self.seconds[self.silent]

    def at(self, percent: float) -> float:
        """That percentile of the work on a piece that gave something."""
        return float(np.percentile(self.seconds[self.silent :], percent))

    @property
    def late(self) -> float:
        """Share of pieces that are not done when the next one is there."""
        return _late(self.seconds, self.hop)


def _late(seconds: Sequence[float], hop: float) -> float:
    done, late = 0.0, 0
    for i, taken in enumerate(seconds):
        arrived = (i + 1) * hop
        done = max(done, arrived) + taken  # what is late holds up what comes after it
        late += done > arrived + hop
    return late / len(seconds)


@torch.inference_mode()
def streamed(tokenizer: Live, device: str, wav: Tensor, hop: int, rate: int) -> Streamed:
    """wav [1, C, T] piece by piece, after a first pass that warms up."""
    pieces = wav[..., : wav.shape[-1] // hop * hop].split(hop, dim=-1)[:CHUNKS]
    _pass(tokenizer, device, pieces[:10])
    seconds, gave = _pass(tokenizer, device, pieces)
    return Streamed(hop / rate, tuple(seconds), gave.index(True) if True in gave else len(gave) - 1)


def _pass(tokenizer: Live, device: str, pieces: Sequence[Tensor]) -> tuple[list[float], list[bool]]:
    encoder, decoder = tokenizer.stream_encoder(), calls.stream_decoder(tokenizer)
    seconds: list[float] = []
    gave: list[bool] = []

    def step(piece: Tensor) -> None:
        made = encoder.feed(piece.to(device).clone())
        if tokenizer.spec.decodes:
            made = decoder.feed(made)
        gave.append(made.cpu().shape[-1] > 0)

    for piece in pieces:
        seconds.append(once(lambda piece=piece: step(piece), device))
    return seconds, gave


@torch.inference_mode()
def lookahead(tokenizer: Tokenizer, wav: Tensor, other: Tensor, hop: float) -> float:
    """Samples of the input that must have come in before an output sample can be made, its own included; infinite where all must.

    wav [1, C, T] is encoded again and again, each time with `other` in its place from a later sample on, to find the first frame of codes
    that notices; and its codes are decoded with those of `other` in their place from that frame on, to find the first sample that does.
    So a frame that is packed as one is waited for as one. What is changed may be too little to move a code, the more so the fewer codebooks
    there are: the truth may be more.
    """
    spec = tokenizer.spec
    if any(book.rate == 0 for book in spec.side) or not spec.keeps_level:
        return math.inf  # sent once, of the whole clip
    codes, others = boundary.encode(tokenizer, wav), boundary.encode(tokenizer, other)
    length, heard = wav.shape[-1], boundary.decode(tokenizer, codes) if spec.decodes else None
    middle, worst, slower = length // 2, -math.inf, length / spec.decoded(length)
    answers: dict[tuple[int, ...], float] = {}
    for step in range(1, FRAMES * SHARE + 1):
        start = min(length - 1, middle + math.ceil(step * hop / SHARE) - 1)
        changed = boundary.encode(tokenizer, torch.cat([wav[..., :start], other[..., start:]], dim=-1))
        found = [_first(*both) for both in zip(codes.parts, changed.parts, strict=True)]
        if all(place is None for place in found):
            continue
        places = tuple(part.shape[-1] if place is None else place for place, part in zip(found, codes.parts, strict=True))
        if places not in answers:
            ways = zip(codes.parts, others.parts, places, strict=True)
            mixed = Codes(*(torch.cat([one[..., :place], two[..., place:]], dim=-1) for one, two, place in ways))
            answers[places] = places[0] * hop if heard is None else (_first(heard, boundary.decode(tokenizer, mixed)) or 0) * slower
        if answers[places] < middle / 2:
            return math.inf
        worst = max(worst, start - answers[places] + 1 + spec.delay * slower)
    return worst


def _first(before: Tensor, after: Tensor) -> int | None:
    """The first place along the last axis at which two tensors [1, C, n] differ by more than rounding."""
    both = min(before.shape[-1], after.shape[-1])
    different = ((after[..., :both] - before[..., :both]).abs() > AUDIBLE).flatten(0, -2).any(dim=0).nonzero()
    return int(different[0]) if len(different) else None
