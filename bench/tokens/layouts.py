"""How a language model can be fed codes [K, F]: what each layout costs in positions of its context, and which vocabulary it needs.

flattened  every code is a position, frame by frame; codebook k's codes begin where those of k - 1 end: one vocabulary, the sum of all
delayed    a position holds a code of every codebook, each one frame later than the one before it (MusicGen, arxiv.org/abs/2306.05284);
           a vocabulary for each, with one code more for where there is none
one_late   a position holds a code of every codebook, all but the first one frame later, so that the first is known when the others are
           predicted (Moshi, arxiv.org/abs/2410.00037); vocabularies as in delayed
parallel   a position holds the codes of one frame; a vocabulary for each

A tokenizer of one codebook has only the first. Side codes take a position each, those of an utterance before its first frame, those of a
chunk before the chunk's, from vocabularies behind those of the frames; streams that share a table of entries share one there. A layout
that is learnt, whose positions depend on what is said: bench/tokens/bpe.py.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from bench.api import Spec, UserError

CONTEXTS = {"4k": 4096, "32k": 32_768, "128k": 131_072}


@dataclass(frozen=True)
class Layout:
    """A layout of a tokenizer of constant rate."""

    name: str
    rates: tuple[float, ...]  # of the streams that share the positions, in Hz
    extra: int  # positions beyond those of the frames, however long the clip
    vocabularies: tuple[int, ...]
    offsets: tuple[int, ...]  # where each codebook, then each side codebook, begins in its vocabulary

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
    sizes, beside = tuple(c.size for c in spec.codebooks), _side(spec)[0]
    chunks, once = tuple(c.rate for c in spec.side if c.rate), sum(c.rate == 0 for c in spec.side)
    starts, whole = offsets(spec)
    flattened = Layout("flattened", (*(c.rate for c in spec.codebooks), *chunks), once, (whole,), starts)
    if len(sizes) == 1:
        return [flattened]
    frames, zeros = (spec.frame_rate, *chunks), (0,) * len(starts)
    with_none = (*(size + 1 for size in sizes), *beside)
    return [
        flattened,
        Layout("delayed", frames, once + len(sizes) - 1, with_none, zeros),
        Layout("one_late", frames, once + 1, with_none, zeros),
        Layout("parallel", frames, once, (*sizes, *beside), zeros),
    ]


def offsets(spec: Spec) -> tuple[tuple[int, ...], int]:
    """Where each codebook, then each side codebook, begins in one vocabulary of all codes, and the size of that."""
    sizes, beside, place_of = tuple(c.size for c in spec.codebooks), *_side(spec)
    starts = tuple(itertools.accumulate((*sizes, *beside), initial=0))
    return (*starts[: len(sizes)], *(starts[len(sizes) + place] for place in place_of)), starts[-1]


def _side(spec: Spec) -> tuple[tuple[int, ...], list[int]]:
    """Sizes of the tables of the side codes, and the number of the table of each."""
    names = [book.table or k for k, book in enumerate(spec.side)]
    tables = list(dict.fromkeys(names))
    return tuple(spec.side[names.index(name)].size for name in tables), [tables.index(name) for name in names]


def require_frames(spec: Spec, layout: str) -> None:
    """UserError where a layout needs frames at a constant rate, and the tokenizer's vary in length."""
    if not math.isfinite(spec.frame_rate) and layout != "flattened":
        raise UserError(f"{spec.label}: its frames vary in length, and the layout {layout} needs a constant rate: use flattened")
