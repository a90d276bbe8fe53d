"""How a tokenizer's encode and decode are called, by what its spec says: decoders that draw noise are given seeds.

The seed of an item is the first 32 bits of sha256("<seed of the run> <sha256 of the clip's audio file>"): one clip, one seed, whichever
data set it is in, however a run is batched, stopped and resumed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from torch import Tensor

from bench.api import Draws, Stream, Streams, Tokenizer


class Live(Streams, Tokenizer, Protocol):
    """A tokenizer that streams."""


def seed_of(seed: int, what: str) -> int:
    """From 0 to 2**32 - 1: of a clip, where `what` is the sha256 of its file."""
    return int.from_bytes(hashlib.sha256(f"{seed} {what}".encode()).digest()[:4])


def decode(tokenizer: Tokenizer, codes: Tensor, seeds: Sequence[int] = ()) -> Tensor:
    """codes [B, K, F] -> wav [B, C, T']. `seeds`, one for each item, are 0 unless given; only a decoder that draws noise sees them."""
    if not tokenizer.spec.sampled:
        return tokenizer.decode(codes)
    return cast(Draws, tokenizer).decode(codes, seeds=tuple(seeds) or (0,) * len(codes))


def stream_decoder(tokenizer: Live, seeds: Sequence[int] = (0,)) -> Stream:
    """A new stream of codes [B, K, m] -> wav pieces [B, C, n]; `seeds` as in `decode`."""
    make = cast(Callable[..., Stream], tokenizer.stream_decoder)
    return make(tuple(seeds)) if tokenizer.spec.sampled else make()
