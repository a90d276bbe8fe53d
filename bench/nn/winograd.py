"""Convolution with three taps by four products for two samples instead of six (Winograd's F(2, 3); Lavin and Gray 2016,
arxiv.org/abs/1509.09308), with the products of bench/nn/onednn.py.

Of samples a b c d and taps g h i, y0 = a g + b h + c i and y1 = b g + c h + d i are made of
(a - c) g, (b + c) (g + h + i) / 2, (c - b) (g - h + i) / 2 and (b - d) i. Rounding grows by less than the shorter sums save.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.nn.onednn import ordered_matrix, product


class Factors(NamedTuple):
    """What a weight [out, in, 3] is made of, each [out, in] in oneDNN's order."""

    first: Tensor
    sum: Tensor
    alternating: Tensor
    last: Tensor


def factors(weight: Tensor) -> Factors:
    """Of a convolution's weight [out, in, 3], computed in double precision."""
    first, middle, last = weight.double().unbind(-1)
    parts = first, (first + middle + last) / 2, (first - middle + last) / 2, last
    return Factors(*(ordered_matrix(part.to(weight.dtype).contiguous()) for part in parts))


def convolved(x: Tensor, weight: Factors, bias: Tensor | None) -> Tensor:
    """Convolution of x [B, in, T] with a zero on both sides -> [B, out, T], stored by frames."""
    rows = x.transpose(1, 2)
    samples = F.pad(rows, (0, 0, 1, 1 + rows.shape[1] % 2)).unflatten(1, (-1, 2))
    (a, b), (c, d) = samples[:, :-1].unbind(2), samples[:, 1:].unbind(2)
    both, apart = product(b + c, weight.sum, bias), product(c - b, weight.alternating)
    even = product(a - c, weight.first, onto=both + apart)
    odd = product(d - b, weight.last, onto=both.sub_(apart))
    return torch.stack([even, odd], dim=2).flatten(1, 2)[:, : rows.shape[1]].transpose(1, 2)
