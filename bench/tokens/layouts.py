"""How a language model can be fed codes [K, F]: what each layout costs in positions of its context, and which vocabulary it needs.

flattened  every code is a position, frame by frame; codebook k's codes begin where those of k - 1 end: one vocabulary, the sum of all
delayed    a position holds a code of every codebook, each one frame later than the one before it (MusicGen, arxiv.org/abs/2306.05284);
           a vocabulary for each, with one code more for where there is none
one_late   a position holds a code of every codebook, all but the first one frame later, so that the first is known when the others are
           predicted (Moshi, arxiv.org/abs/2410.00037); vocabularies as in delayed
parallel   a position holds the codes of one frame; a vocabulary for each

A tokenizer of one codebook has only the first. A layout that is learnt, whose positions depend on what is said: bench/tokens/bpe.py.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from bench.api import Spec

CONTEXTS = {"4k": 4096, "32k": 32_768, "128k": 131_072}


@dataclass(frozen=True)
class Layout:
    """A layout of a tokenizer of constant rate."""

    name: str
    rates: tuple[float, ...]  # of the streams that share the positions, in Hz
    extra: int  # positions beyond those of the frames, however long the clip
    vocabularies: tuple[int, ...]
    offsets: tuple[int, ...]  # where each codebook begins in its vocabulary

    def positions(self, seconds: float) -> int:
        """Positions that a clip takes; a frame that has begun counts."""
        return self.extra + sum(math.ceil(seconds * rate - 1e-6) for rate in self.rates)

    def seconds(self, positions: int) -> float:
        """Audio that fits into so many positions."""
        return max(0.0, positions - self.extra) / sum(self.rates)


def layouts(spec: Spec) -> list[Layout]:
    """Those of a tokenizer; none where its rate varies."""
    if not math.isfinite(spec.tokens_per_s):
        return []
    sizes = tuple(c.size for c in spec.codebooks)
    starts = tuple(itertools.accumulate(sizes, initial=0))
    flattened = Layout("flattened", tuple(c.rate for c in spec.codebooks), 0, starts[-1:], starts[:-1])
    if len(sizes) == 1:
        return [flattened]
    frames, zeros = (spec.frame_rate,), (0,) * len(sizes)
    with_none = tuple(size + 1 for size in sizes)
    return [
        flattened,
        Layout("delayed", frames, len(sizes) - 1, with_none, zeros),
        Layout("one_late", frames, 1, with_none, zeros),
        Layout("parallel", frames, 0, sizes, zeros),
    ]
