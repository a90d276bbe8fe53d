"""Codes that differ between two implementations, and the proof that rounding alone decided between them.

A code is the vector nearest to a point; two vectors are equally near to every point of the plane halfway between them. Two float32
implementations add up in another order, so their points differ in the last digits, and one that is nearer to the plane than these digits
may fall to either side. Nothing else excuses an unequal code, and each is checked in float64. The levels below a proven tie quantize
another residual, so those of the same frame are excused with it. Ties stay rare.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

ROUNDING = 3e-6  # of a latent's length: the authors' EnCodec is up to 8e-7 away from itself in float64, ours up to 2e-6
RARE = 1000  # codes to a tie


class Level(NamedTuple):
    """What a codebook [S, D] quantizes: points [B, F, D], and the length [B, F] that their rounding is a share of; in float64."""

    points: Tensor
    book: Tensor
    size: Tensor


def residual_levels(latents: Tensor, books: Sequence[Tensor], expected: Tensor) -> Iterator[Level]:
    """The levels of a residual quantizer of latents [B, D, F] with codebooks [S, D] that gave the expected codes [B, K, F]."""
    rest = latents.double().transpose(1, 2)
    size = rest.norm(dim=-1)  # at every level: what is left has the rounding of the whole
    for book, code in zip(books, expected.unbind(1), strict=True):
        yield Level(rest, book.double(), size)
        rest = rest - book.double()[code]


def ties(codes: Tensor, expected: Tensor, levels: Iterable[Level]) -> int:
    """How many of codes [B, K, F] differ from the expected ones by a tie; AssertionError where one does without.

    A level's points are those that the expected codes of the levels before it leave over.
    """
    assert codes.shape == expected.shape, f"codes {tuple(codes.shape)}, expected {tuple(expected.shape)}"
    parted, count = torch.zeros_like(codes[:, 0], dtype=torch.bool), 0
    for level, ((points, book, size), code, right) in enumerate(zip(levels, codes.unbind(1), expected.unbind(1), strict=True)):
        differ = (code != right) & ~parted
        across, middle = book[code] - book[right], (book[code] + book[right]) / 2
        away = ((points - middle) * across).sum(-1).abs() / across.norm(dim=-1)  # from the plane; 0 / 0 where the codes are equal
        wrong = differ & ~(away <= ROUNDING * size)
        assert not wrong.any(), (
            f"{wrong.sum()} codes of level {level} differ, no tie: {(away / size)[wrong].max():.1e} of the latent's length"
        )
        parted |= differ
        count += int(differ.sum())
    assert count <= math.ceil(codes.numel() / RARE), f"{count} ties among {codes.numel()} codes"
    return count
