"""The facts of a tokenizer in a run's identity -> the Spec that they were taken from, where the tokenizer itself need not be at hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields

from bench.api import Codebook, Spec

PROSE = ("source", "licence", "trained_here")  # of which no score can depend, so no identity has them


def spec_of(tokenizer: Mapping) -> Spec:
    """All but its prose. `tokenizer`: that part of an identity, as JSON has it."""
    plain = {f.name for f in fields(Spec)} - {"codebooks", "side", *PROSE}
    facts = {name: value for name, value in tokenizer.items() if name in plain}
    count = len(tokenizer["codebooks"])
    tables, levels = tokenizer.get("table", [""] * count), tokenizer.get("levels", [()] * count)
    books = [_book(*at) for at in zip(tokenizer["codebooks"], tables, levels, strict=True)]
    side = [Codebook(size, rate, levels=tuple(*rest)) for size, rate, *rest in tokenizer.get("side", ())]
    return Spec(**facts, codebooks=tuple(books), side=tuple(side))


def _book(size_and_rate: Sequence, table: str, levels: Sequence[int]) -> Codebook:
    size, rate = size_and_rate
    return Codebook(size, math.nan if rate is None else rate, table=table, levels=tuple(levels))
