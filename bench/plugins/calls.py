"""How a tokenizer's encode and decode are called, by what its spec says: in pieces, where clips may be too long, with side codes and seeds.

The seed of an item is the first 32 bits of sha256("<seed of the run> <sha256 of the clip's audio file>"): one clip, one seed, whichever
data set it is in, however a run is batched, stopped and resumed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from torch import Tensor

from bench.api import Codes, Stream, Streams, Tokenizer
from bench.plugins import pieces
from bench.plugins.given import codes_of


class Live(Streams, Tokenizer, Protocol):
    """A tokenizer that streams."""


def seed_of(seed: int, what: str) -> int:
    """From 0 to 2**32 - 1: of a clip, where `what` is the sha256 of its file."""
    return int.from_bytes(hashlib.sha256(f"{seed} {what}".encode()).digest()[:4])


def encode(tokenizer: Tokenizer, wav: Tensor) -> Codes:
    """wav [B, C, T] -> codes, in pieces where it is longer than the tokenizer takes. TypeError where encode gives anything else."""
    return pieces.encode(tokenizer.spec, wav, lambda part: codes_of(tokenizer.encode(part), tokenizer.spec))


def decode(tokenizer: Tokenizer, codes: Codes, seeds: Sequence[int] = ()) -> Tensor:
    """codes -> wav [B, C, T'], in the same pieces.

    `seeds`, one for each item, are 0 unless given. Only a decoder that draws noise sees them; later pieces have seeds of their own.
    """
    spec, given = tokenizer.spec, tuple(seeds) or (0,) * len(codes.frames)
    call = cast(Callable[..., Tensor], tokenizer.decode)  # of one or two tensors, with or without seeds

    def one(part: Codes, number: int) -> Tensor:
        if not spec.sampled:
            return call(*part.parts)
        return call(*part.parts, seeds=tuple(seed_of(s, f"piece {number}") for s in given) if number else given)

    return pieces.decode(spec, codes, spec.output_rate or spec.sample_rate or 0, one)


def stream_decoder(tokenizer: Live, seeds: Sequence[int] = (0,)) -> Stream:
    """A new stream of codes [B, K, m] -> wav pieces [B, C, n]; `seeds` as in `decode`."""
    make = cast(Callable[..., Stream], tokenizer.stream_decoder)
    return make(tuple(seeds)) if tokenizer.spec.sampled else make()
