"""Quantizers beside the residual one: product, group, finite scalar and binary spherical, and the interface that all of them share.

Latents [B, W, F] <-> codes [B, K, F]. What a quantizer learns and how:

    VQ             ResidualQuantizer with one level    moving averages    quantize.py
    RVQ, split     ResidualQuantizer, SplitQuantizer   moving averages    quantize.py
    factorised     FactorisedQuantizer                 by gradient        factorised.py
    multi-scale    MultiScaleQuantizer                 by gradient        multiscale.py
    cross-scale    CrossScaleQuantizer                 by gradient        cross_scale.py
    product        ProductQuantizer                    moving averages    here
    group (x RVQ)  GroupQuantizer                      moving averages    here
    FSQ            FiniteScalarQuantizer               no codebook        here
    residual FSQ   ResidualScalarQuantizer             no codebook        residual_fsq.py
    FSQ in groups  GroupedScalarQuantizer              no codebook        grouped_fsq.py
    BSQ            BinarySphericalQuantizer            no codebook        here

Codebooks that learn by moving averages start by k-means on the first batch and restart codes that nobody uses; in every quantizer
gradients pass straight through the rounding. The cross-scale one holds layers of its decoder, and takes a map of each scale. ERVQ's
losses, for the factorised one, are in ervq.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

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


class Squash(NamedTuple):
    """How a finite scalar quantizer maps numbers to its steps, and steps to numbers; conventions differ."""

    bounded: Callable[[Tensor, Tensor], Tensor]  # numbers [..., D], steps [D] -> what rounds to 0 .. steps - 1
    values: Callable[[Tensor, Tensor], Tensor]  # digits [..., D], steps [D] -> numbers that they stand for


def _even(x: Tensor, steps: Tensor) -> Tensor:
    half = (steps - 1) / 2
    middle = steps // 2 - half  # an even number of steps has no middle one: zero goes to the upper one of the two
    reach = half + 0.5 - 1e-3  # the outermost steps are as wide as the others
    return half + reach * torch.tanh(x + torch.atanh(middle / reach))


def _shifted(x: Tensor, steps: Tensor) -> Tensor:
    half = (steps - 1) * (1 + 1e-3) / 2
    offset = (steps % 2 == 0) / 2
    return torch.tanh(x + torch.atanh(offset / half)) * half - offset


EVEN = Squash(_even, lambda digits, steps: 2 * digits / (steps - 1) - 1)  # steps of one width, values from -1 to 1
# as the package vector-quantize-pytorch has it within a residual quantizer: what was squashed is squashed again; 0 is among the values
SHIFTED_TWICE = Squash(
    lambda x, steps: _shifted(_shifted(x, steps), steps) + steps // 2, lambda digits, steps: (digits - steps // 2) / (steps // 2)
)


class FiniteScalarQuantizer(nn.Module):
    """Each of a few dimensions is squashed and rounded to its number of steps; together they are one code (Mentzer et al. 2023,
    arxiv.org/abs/2309.15505). There is nothing to learn but the projections, so nothing can die, and no loss beside the codec's own.
    """

    steps: Tensor
    places: Tensor

    def __init__(self, steps: tuple[int, ...], width: int, squash: Squash = EVEN):
        super().__init__()
        self.squash = squash
        if min(steps, default=0) < 2:
            raise ValueError(f"every dimension needs 2 steps or more, got {steps}")
        self.size = math.prod(steps)
        self.register_buffer("steps", torch.tensor(steps), persistent=False)
        self.register_buffer("places", torch.tensor([math.prod(steps[:i]) for i in range(len(steps))]), persistent=False)
        self.input_proj = nn.Conv1d(width, len(steps), 1)
        self.output_proj = nn.Conv1d(len(steps), width, 1)

    def bounded(self, x: Tensor) -> Tensor:
        """Latents [B, W, F] -> [B, F, D], which rounds to 0 .. steps - 1 in each dimension; 0 stays in the middle or next to it."""
        return self.squash.bounded(self.input_proj(x).transpose(1, 2), self.steps)

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        """Latents [B, W, F] -> codes [B, 1, F]."""
        _whole(levels, 1, "finite scalar")
        return (self.bounded(x).round().long() * self.places).sum(-1)[:, None]

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, 1, F] -> latents [B, W, F]."""
        _whole(codes.shape[1], 1, "finite scalar")
        return self._back(codes[:, 0, :, None] // self.places % self.steps)

    def forward(self, x: Tensor, *, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, W, F]; nothing here is random."""
        points = self.bounded(x)
        digits = points.round()
        codes = (digits.long() * self.places).sum(-1)[:, None]
        return Quantized(self._back(points + (digits - points).detach()), codes, x.new_zeros(()))

    def _back(self, digits: Tensor) -> Tensor:
        return self.output_proj(self.squash.values(digits, self.steps).transpose(1, 2))


# as that package has it alone, and BiCodec's authors within a residual quantizer
SHIFTED = Squash(lambda x, steps: _shifted(x, steps) + steps // 2, SHIFTED_TWICE.values)


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
