"""Residual quantizer whose levels have rates of their own (Siuzdak et al. 2024, arxiv.org/abs/2410.14411).

Level l quantizes averages over strides[l] frames. Latents [B, W, F], F a multiple of strides[0], the largest, <-> codes
[B, K, F / strides[0]]: a column holds one code per slow frame, so level l has strides[0] / strides[l] columns, in the order
of time, after those of the slower levels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.factorised import COMMITMENT, DirectionCodebook, FactorisedCodebook
from bench.nn.quantize import Quantized


class WideCodebook(DirectionCodebook):
    """One level without projections: codes are looked up among the latents themselves."""

    def __init__(self, size: int, width: int):
        super().__init__()
        self.in_proj, self.out_proj = nn.Identity(), nn.Identity()
        self.codebook = nn.Embedding(size, width)


class MultiScaleQuantizer(nn.Module):
    """Each level quantizes what the levels before left over, at its own rate. `size`: of each level's codebook, or of all.

    Codes are looked up in `dimension`; where that is 0, there are no projections.
    """

    def __init__(self, strides: tuple[int, ...], size: int | tuple[int, ...], dimension: int, width: int):
        super().__init__()
        sizes = (size,) * len(strides) if isinstance(size, int) else size
        if len(sizes) != len(strides):
            raise ValueError(f"each of {len(strides)} levels needs a size, got {sizes}")
        if any(strides[0] % stride for stride in strides):
            raise ValueError(f"each stride must divide the first one, got {strides}")
        self.strides = strides
        self.layers = nn.ModuleList(FactorisedCodebook(one, dimension, width) if dimension else WideCodebook(one, width) for one in sizes)

    @property
    def columns(self) -> list[int]:
        """Codes of each level per slow frame."""
        return [self.strides[0] // stride for stride in self.strides]

    def codebooks(self) -> list[FactorisedCodebook | WideCodebook]:
        """One for each level."""
        return [layer for layer in self.layers if isinstance(layer, FactorisedCodebook | WideCodebook)]

    def encode(self, x: Tensor) -> Tensor:
        """Latents [B, W, F] -> codes [B, K, F / strides[0]]."""
        found = []
        for level, stride, columns in zip(self.codebooks(), self.strides, self.columns, strict=True):
            codes = level.nearest(level.in_proj(F.avg_pool1d(x, stride)))
            found.append(codes.unflatten(1, (-1, columns)).transpose(1, 2))
            x = x - level.out_proj(level.vectors(codes)).repeat_interleave(stride, dim=-1)
        return torch.cat(found, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, n] -> latents [B, W, n * strides[0]]."""
        total: Tensor | None = None
        for level, stride, part in zip(self.codebooks(), self.strides, codes.split(self.columns, dim=1), strict=True):
            x = level.out_proj(level.vectors(part.transpose(1, 2).flatten(1))).repeat_interleave(stride, dim=-1)
            total = x if total is None else total + x
        assert total is not None
        return total

    def forward(self, x: Tensor, *, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, W, F]. Nothing here is random; `generator` is taken for the sake of one interface."""
        rest, total, loss, found = x, torch.zeros_like(x), x.new_zeros(()), []
        for level, stride, columns in zip(self.codebooks(), self.strides, self.columns, strict=True):
            points = level.in_proj(F.avg_pool1d(rest, stride))
            codes = level.nearest(points.detach())
            vectors = level.vectors(codes)
            loss = loss + (vectors - points.detach()).square().mean() + COMMITMENT * (points - vectors.detach()).square().mean()
            part = level.out_proj(points + (vectors - points).detach()).repeat_interleave(stride, dim=-1)
            total, rest = total + part, rest - part
            found.append(codes.unflatten(1, (-1, columns)).transpose(1, 2))
        return Quantized(total, torch.cat(found, dim=1), loss / len(found))

    @torch.no_grad()
    def scatter(self, x: Tensor, generator: torch.Generator) -> None:
        """Codebooks at random, each around what reaches it of latents [B, W, F]: for a network that is not trained."""
        for level, stride in zip(self.codebooks(), self.strides, strict=True):
            points = level.in_proj(F.avg_pool1d(x, stride))
            spread = torch.randn(level.codebook.weight.shape, generator=generator).to(points.device)
            level.codebook.weight.copy_(points.mean((0, 2)) + points.std((0, 2)) * spread)
            x = x - level.out_proj(level.vectors(level.nearest(points))).repeat_interleave(stride, dim=-1)
