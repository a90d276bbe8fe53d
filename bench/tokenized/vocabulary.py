"""What the tokens of a data set mean: which codes of which tokenizer they are, in a layout, and the numbers that are no code.

A layout is a line or a grid. In a line every code is a token of one vocabulary, in which each codebook has a range of its own; special
tokens lie behind the last range. In a grid a position holds a token of every column, each with a vocabulary of its own: its codes from 0,
special tokens behind. Two tokenizers share a line by time, and a grid by the shortest time that is a whole number of frames of both: a
column for each code of that time.

flattened  a line: frame by frame, of two tokenizers by the time at which a frame begins, those of the first before
stages     a line: the semantic codebooks (or the first), the special token `sep`, then the others; of two tokenizers, one after the other
bpe        a line: flattened in the order of the codebooks, then byte pairs (bench/tokens/bpe.py); of one tokenizer
depth, parallel, delayed, one_late   grids, with the delays of bench/lm/layouts.py; where a column has no code, `none`
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from bench.api import Spec, UserError
from bench.lm import layouts as lm
from bench.tokens.layouts import offsets

LINES = ("flattened", "stages", "bpe")
GRIDS = tuple(name for name in lm.NAMES if name not in LINES)
LAYOUTS = (*LINES, *GRIDS)
SPECIAL = {"line": ("bos", "eos", "pad", "sep"), "grid": ("none", "bos", "eos", "pad")}
MOST = 32  # columns of a grid


@dataclass(frozen=True)
class Column:
    """Codes of one codebook: `offset` is the token of its code 0."""

    tokenizer: int
    codebook: int
    size: int
    offset: int
    role: str = ""
    rate: float = math.nan  # codes a second; 0: once an utterance
    frame: int = 0  # of a grid: which of the tokenizer's frames of a step
    delay: int = 0  # of a grid: steps by which it comes later


@dataclass(frozen=True)
class Vocabulary:
    """How codes of these tokenizers are laid out as tokens."""

    layout: str
    specs: tuple[Spec, ...]
    columns: tuple[Column, ...]  # in the order in which they are laid out
    side: tuple[Column, ...]  # of the side codes, which stand beside the tokens
    size: int = 0  # of a line: codes of all, side codes among them; special tokens follow

    @property
    def grid(self) -> bool:
        return self.layout in GRIDS

    @property
    def width(self) -> int:
        """Tokens of a position."""
        return len(self.columns) if self.grid else 1

    @property
    def frames_of(self) -> tuple[int, ...]:
        """Of a grid: the frames of each tokenizer in a step."""
        return tuple(1 + max(c.frame for c in self.columns if c.tokenizer == i) for i in range(len(self.specs)))

    @property
    def first(self) -> int:
        """Of stages: how many columns come before `sep`."""
        return lm.first_stage(self.specs[0]) if len(self.specs) == 1 else len(self.specs[0].codebooks)

    def special(self, size: int) -> dict[str, int]:
        """The special tokens of a vocabulary with so many codes."""
        return {name: size + i for i, name in enumerate(SPECIAL["grid" if self.grid else "line"])}


def vocabulary(layout: str, specs: Sequence[Spec]) -> Vocabulary:
    """The vocabulary of one tokenizer, or of two, in that layout. UserError where it cannot be."""
    _refuse(layout, specs)
    steps = _frames_of_a_step(specs) if layout in GRIDS else (1,) * len(specs)
    columns: list[Column] = []
    side: list[Column] = []
    start = 0
    for i, spec in enumerate(specs):
        starts, size = offsets(spec)
        places = [0 if layout in GRIDS else start + offset for offset in starts]
        for frame in range(steps[i]):
            for k in _order(layout, spec):
                book = spec.codebooks[k]
                columns.append(Column(i, k, book.size, places[k], book.role, book.rate, frame))
        for s, book in enumerate(spec.side):
            side.append(Column(i, s, book.size, places[len(spec.codebooks) + s], book.role, book.rate))
        start += size
    if layout in GRIDS:
        delays = lm.layout(layout, len(columns)).delays
        columns = [Column(**{**vars(column), "delay": delay}) for column, delay in zip(columns, delays, strict=True)]
    return Vocabulary(layout, tuple(specs), tuple(columns), tuple(side), start)


def _order(layout: str, spec: Spec) -> list[int]:
    return list(range(len(spec.codebooks))) if layout == "bpe" else lm.order(spec)


def _refuse(layout: str, specs: Sequence[Spec]) -> None:
    if layout not in LAYOUTS:
        raise UserError(f"no layout is called {layout!r}: give one of {', '.join(LAYOUTS)}")
    if len(specs) not in (1, 2):
        raise UserError(f"{len(specs)} tokenizers are named: one, or a semantic and an acoustic one, can share a stream")
    if len({spec.label for spec in specs}) < len(specs):
        raise UserError(f"{specs[0].label} is named twice: name two tokenizers, or it alone")
    for spec in specs:
        if spec.reference or spec.shuffled or spec.labelled:
            raise UserError(f"{spec.label} is a reference condition, not a tokenizer to learn from: name another")
        if len(specs) > 1 and not math.isfinite(spec.frame_rate):
            raise UserError(f"{spec.label}: its frames vary in length, so that they cannot be aligned with another's: name it alone")
    if layout == "bpe" and len(specs) > 1:
        raise UserError("the layout bpe is of one tokenizer: name one, or use flattened")
    if layout == "stages" and len(specs) == 1 and len(specs[0].codebooks) == lm.first_stage(specs[0]):
        raise UserError(f"{specs[0].label} has one stage alone: use flattened, or name a second tokenizer")


def _frames_of_a_step(specs: Sequence[Spec]) -> tuple[int, ...]:
    """Of each tokenizer, in the shortest time that is a whole number of frames of all."""
    if len(specs) == 1:
        return (1,)
    rates = [exact_rate(spec) for spec in specs]
    step = Fraction(math.gcd(*(r.numerator for r in rates)), math.lcm(*(r.denominator for r in rates)))
    found = tuple(int(rate / step) for rate in rates)
    if sum(frames * len(spec.codebooks) for frames, spec in zip(found, specs, strict=True)) > MOST:
        told = " and ".join(f"{spec.label} has {spec.frame_rate:g} frames per second" for spec in specs)
        raise UserError(f"{told}: a step of both would have more than {MOST} columns: use flattened or stages")
    return found


def exact_rate(spec: Spec) -> Fraction:
    """Frames per second as a ratio."""
    return Fraction(spec.frame_rate).limit_denominator(100_000)
