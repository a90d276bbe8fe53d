"""How the codes of a frame are laid out for a language model: which codes are predicted in one step, and what each of them may see.

depth      a step is a frame; a second, small transformer goes through its codes one by one (RQ-Transformer; Moshi,
           arxiv.org/abs/2410.00037)
flattened  a step is a code
delayed    a step holds a code of every codebook, each one frame later than the one before it, predicted as if independent (MusicGen,
           arxiv.org/abs/2306.05284)
parallel   a step is a frame, its codes predicted as if independent
one_late   a step holds the first code of a frame and the others of the frame before, one by one as in depth (Moshi's delays)
stages     first all codes of the codebooks that are semantic (or of the first), then those of the others, frames of both as in depth
           (AudioLM, arxiv.org/abs/2209.03143, its later stages shown all of the first)

Those that predict one code at a time are exact: by the chain rule they cost the same, if the model is good enough. `delayed` and
`parallel` pay for what the codes of one step tell of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.api import Codebook, Spec

NAMES = ("depth", "flattened", "delayed", "parallel", "one_late", "stages")
Kind = Literal["frames", "flattened", "stages"]


@dataclass(frozen=True)
class Layout:
    """A layout of `columns` codes a frame."""

    name: str
    kind: Kind
    columns: int
    delays: tuple[int, ...]  # of each column, in frames
    one_by_one: bool  # whether the codes of a step are predicted one after the other
    first: int = 0  # of stages: the columns of the first

    def positions(self, frames: int) -> int:
        """Positions of the large transformer that so many frames take."""
        if self.kind == "flattened":
            return frames * self.columns
        return 2 * frames if self.kind == "stages" else frames + max(self.delays)


def layout(name: str, columns: int, first: int = 1) -> Layout:
    """The layout of that name; `first`: columns of the first stage."""
    none, late = (0,) * columns, tuple(range(columns))
    if name == "flattened":
        return Layout(name, "flattened", columns, none, True)
    if name == "stages":
        return Layout(name, "stages", columns, none, True, first)
    if name == "one_late":
        return Layout(name, "frames", columns, tuple(min(1, c) for c in late), True)
    if name in ("depth", "parallel"):
        return Layout(name, "frames", columns, none, name == "depth")
    if name == "delayed":
        return Layout(name, "frames", columns, late, False)
    raise ValueError(f"no layout is called {name!r}: there are {', '.join(NAMES)}")


def order(spec: Spec) -> list[int]:
    """The columns of codes [K, F] as a model reads them: semantic codebooks first, then by the time within the frame, then by level.

    Streams that share a table are the columns of a fast level (SNAC): the j-th of m begins at j / m of the frame.
    """
    begins = {k: (j / len(table), level) for level, table in enumerate(spec.tables) for j, k in enumerate(table)}
    return sorted(begins, key=lambda k: (not semantic(spec.codebooks[k]), *begins[k]))


def first_stage(spec: Spec) -> int:
    """How many columns, in that order, the first stage has: the semantic ones, or else the first."""
    return sum(map(semantic, spec.codebooks)) or 1


def semantic(book: Codebook) -> bool:
    """Whether its authors made it for what is said."""
    return book.role in ("semantic", "content")


def of_spec(name: str, spec: Spec) -> Layout:
    """The layout of that name for a tokenizer's codes, in `order`."""
    return layout(name, len(spec.codebooks), first_stage(spec))


def apart(spec: Spec) -> Sequence[str]:
    """The layouts that differ for this tokenizer: of one codebook, all are the first."""
    return NAMES[:1] if len(spec.codebooks) == 1 else NAMES
