"""Quantizers beside the residual one: product, group and binary spherical, and the interface that all of them share.

Latents [B, W, F] <-> codes [B, K, F]. What a quantizer learns and how:

    VQ             ResidualQuantizer with one level    moving averages    quantize.py
    RVQ, split     ResidualQuantizer, SplitQuantizer   moving averages    quantize.py
    factorised     FactorisedQuantizer                 by gradient        factorised.py
    multi-scale    MultiScaleQuantizer                 by gradient        multiscale.py
    cross-scale    CrossScaleQuantizer                 by gradient        cross_scale.py
    product        ProductQuantizer                    moving averages    here
    group (x RVQ)  GroupQuantizer                      moving averages    here
    FSQ            FiniteScalarQuantizer               no codebook        finite_scalar.py
    residual FSQ   ResidualScalarQuantizer             no codebook        residual_fsq.py
    FSQ in groups  GroupedScalarQuantizer              no codebook        finite_scalar.py
    BSQ            BinarySphericalQuantizer            no codebook        here

Codebooks that learn by moving averages start by k-means on the first batch and restart codes that nobody uses; in every quantizer
gradients pass straight through the rounding. The cross-scale one holds layers of its decoder, and takes a map of each scale. ERVQ's
losses, for the factorised one, are in ervq.py.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from bench.nn.quantize import Codebook, Quantized, ResidualQuantizer


class Quantizer(Protocol):
    """What a codec asks of its quantizer."""

    def encode(self, x: Tensor, levels: int) -> Tensor:
        """Latents [B, W, F] -> the first `levels` codes of each frame, [B, levels, F] int64."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, k, F], the first k of each frame -> latents [B, W, F]."""
        ...

    def __call__(self, x: Tensor, *, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, W, F]."""
        ...


class ProductQuantizer(nn.Module):
    """Latents in `parts` pieces of dimension / parts, each with a codebook of its own (Jégou et al. 2011, doi.org/10.1109/TPAMI.2010.57).

    Works in `dimension`, between 1x1 projections from and to `width`, which may turn the space before it is cut.
    """

    def __init__(self, parts: int, size: int, dimension: int, width: int):
        super().__init__()
        if dimension % parts:
            raise ValueError(f"a product quantizer needs pieces of equal size, got dimension {dimension} for {parts} parts")
        self.layers = nn.ModuleList(Codebook(size, dimension // parts) for _ in range(parts))
        self.input_proj = nn.Conv1d(width, dimension, 1, bias=False)
        self.output_proj = nn.Conv1d(dimension, width, 1, bias=False)

    def codebooks(self) -> list[Codebook]:
        return [layer for layer in self.layers if isinstance(layer, Codebook)]

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        """Latents [B, W, F] -> codes [B, parts, F]."""
        _whole(levels, len(self.layers), "product")
        pieces = self.input_proj(x).transpose(1, 2).chunk(len(self.layers), dim=-1)
        pairs = zip(self.codebooks(), pieces, strict=True)
        return torch.stack([book.encode(piece.flatten(0, 1)).view(piece.shape[:2]) for book, piece in pairs], 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, parts, F] -> latents [B, W, F]."""
        _whole(codes.shape[1], len(self.layers), "product")
        pieces = [book.decode(code) for book, code in zip(self.codebooks(), codes.unbind(1), strict=True)]
        return self.output_proj(torch.cat(pieces, dim=-1).transpose(1, 2))

    def forward(self, x: Tensor, *, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, W, F]."""
        latents = self.input_proj(x).transpose(1, 2)
        codes, vectors = [], []
        for book, piece in zip(self.codebooks(), latents.detach().chunk(len(self.layers), dim=-1), strict=True):
            points = piece.flatten(0, 1)
            if self.training and not book.initialized:
                book.start(points, generator)
            code = book.encode(points)
            vectors.append(book.decode(code).view(piece.shape))
            codes.append(code.view(piece.shape[:2]))
            if self.training:
                book.learn(points, code, generator)
        nearest = torch.cat(vectors, dim=-1)
        straight = latents + (nearest - latents).detach()
        return Quantized(self.output_proj(straight.transpose(1, 2)), torch.stack(codes, 1), (latents - nearest).square().mean())


class GroupQuantizer(nn.Module):
    """Channels in groups, each with a residual quantizer of its own (Yang et al. 2023, arxiv.org/abs/2305.02765).

    A frame's codes go level by level, all groups of the first level before those of the second: whole levels can be left out.
    Each works in `dimension`, between 1x1 projections; where that is 0 there are none, and it works in its channels.
    """

    def __init__(self, groups: int, levels: int, size: int, dimension: int, width: int):
        super().__init__()
        if width % groups:
            raise ValueError(f"a group quantizer needs groups of equal size, got width {width} for {groups} groups")
        inner, outer = (dimension, width // groups) if dimension else (width // groups, 0)
        self.groups = nn.ModuleList(ResidualQuantizer(levels, size, inner, outer) for _ in range(groups))
        self.levels = levels

    def parts(self) -> list[ResidualQuantizer]:
        return [group for group in self.groups if isinstance(group, ResidualQuantizer)]

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        """Latents [B, W, F] -> codes [B, levels, F], `levels` being a multiple of the number of groups."""
        deep = self.levels if levels is None else self._depth(levels)
        pieces = zip(self.parts(), x.chunk(len(self.groups), dim=1), strict=True)
        return torch.stack([part.encode(piece, deep) for part, piece in pieces], dim=2).flatten(1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, k, F], k being a multiple of the number of groups -> latents [B, W, F]."""
        by_group = codes.unflatten(1, (self._depth(codes.shape[1]), -1)).unbind(2)
        return torch.cat([part.decode(code) for part, code in zip(self.parts(), by_group, strict=True)], dim=1)

    def forward(self, x: Tensor, *, depth: Tensor | None = None, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, W, F]: item b is rebuilt from the first depth[b] levels of each group (None: from all)."""
        pieces = zip(self.parts(), x.chunk(len(self.groups), dim=1), strict=True)
        found = [part(piece, depth=depth, generator=generator) for part, piece in pieces]
        codes = torch.stack([one.codes for one in found], dim=2).flatten(1, 2)
        return Quantized(torch.cat([one.x for one in found], dim=1), codes, torch.stack([one.loss for one in found]).mean())

    def _depth(self, codes: int) -> int:
        depth, left = divmod(codes, len(self.groups))
        if left or not 1 <= depth <= self.levels:
            raise ValueError(f"{len(self.groups)} groups of {self.levels} levels cannot have {codes} codes per frame")
        return depth


class BinarySphericalQuantizer(nn.Module):
    """The signs of a few dimensions are one code, which stands for the corner of a cube on the unit sphere (Zhao et al. 2024,
    arxiv.org/abs/2406.07548). The first dimension is the highest bit. There is nothing to learn.
    """

    places: Tensor

    def __init__(self, bits: int):
        super().__init__()
        self.size = 2**bits
        self.register_buffer("places", 2 ** torch.arange(bits - 1, -1, -1), persistent=False)

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        """Latents [B, bits, F] -> codes [B, 1, F]."""
        _whole(levels, 1, "binary spherical")
        return ((x > 0) * self.places[:, None]).sum(1, keepdim=True)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, 1, F] -> latents [B, bits, F] of unit length."""
        _whole(codes.shape[1], 1, "binary spherical")
        bits = codes // self.places[:, None] % 2
        return (2 * bits - 1) / len(self.places) ** 0.5

    def forward(self, x: Tensor, *, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, bits, F], brought to unit length; nothing here is random."""
        unit, codes = nn.functional.normalize(x, dim=1), self.encode(x)
        nearest = self.decode(codes)
        return Quantized(unit + (nearest - unit).detach(), codes, (unit - nearest).square().mean())


def _whole(levels: int | None, codes: int, kind: str) -> None:
    if levels not in (None, codes):
        raise ValueError(f"a {kind} quantizer has {codes} codes per frame, which need each other, got {levels}")
