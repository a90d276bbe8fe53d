"""Factorised residual quantizer: the nearest code is looked up in a few dimensions, by direction alone.

Latents [B, W, F] <-> codes [B, K, F]. Each level projects what is left to D << W dimensions, takes the code with the largest cosine
(Yu et al. 2021, arxiv.org/abs/2110.04627; in a codec: Kumar et al. 2023, arxiv.org/abs/2306.06546), and projects its vector back.
Codebooks are parameters that learn by gradient, not by moving averages.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.ervq import balance_loss, similarity_loss
from bench.nn.quantize import Quantized
from bench.nn.search import search

SHARPNESS = 10.0  # of the soft choice between codes, by cosine, that the balance of their use is judged by
COMMITMENT = 0.25  # weight of the latents' pull towards the codes, against 1 for the codes' pull towards the latents


class DirectionCodebook(nn.Module):
    """Codes of which the one in the nearest direction is taken."""

    codebook: nn.Embedding  # [S, D]

    def nearest(self, points: Tensor) -> Tensor:
        """Codes [B, F] of the directions nearest to those of points [B, D, F]."""
        # the points' own lengths change no order, and for unit vectors the largest product is the smallest distance
        directions = F.normalize(self.codebook.weight)
        batch, _, frames = points.shape
        return (points.transpose(1, 2).flatten(0, 1) @ directions.T).argmax(-1).view(batch, frames)

    def scores(self, points: Tensor) -> Tensor:
        """Points [B, D, F] -> logits [B * F, size] of a soft choice between the codes."""
        return SHARPNESS * F.normalize(points, dim=1).transpose(1, 2).flatten(0, 1) @ F.normalize(self.codebook.weight).T

    def vectors(self, codes: Tensor) -> Tensor:
        """Codes [B, F] -> their vectors [B, D, F]."""
        return self.codebook(codes).transpose(1, 2)


class FactorisedCodebook(DirectionCodebook):
    """One level: `size` codes of `dimension` between 1x1 projections from and to `width`."""

    def __init__(self, size: int, dimension: int, width: int, bias: bool = True):
        super().__init__()
        self.in_proj = nn.Conv1d(width, dimension, 1, bias=bias)
        self.out_proj = nn.Conv1d(dimension, width, 1, bias=bias)
        self.codebook = nn.Embedding(size, dimension)

    def table(self) -> Tensor:
        """What each code takes from the latents: [size, W]."""
        return F.linear(self.codebook.weight, self.out_proj.weight[..., 0], self.out_proj.bias)


class FactorisedQuantizer(nn.Module):
    """Each level quantizes what the levels before left over.

    With a `beam` above 1 encoding follows so many sequences of codes, and judges them by what they leave of the latents. `balance` and
    `apart` weigh ERVQ's losses in training: for codes in even use, and for neighbouring levels that are unlike each other.
    """

    def __init__(self, levels: int, size: int, dimension: int, width: int, beam: int = 1, balance: float = 0.0, apart: float = 0.0):
        super().__init__()
        self.beam, self.balance, self.apart = beam, balance, apart
        self.layers = nn.ModuleList(FactorisedCodebook(size, dimension, width) for _ in range(levels))

    def codebooks(self) -> list[FactorisedCodebook]:
        return [layer for layer in self.layers if isinstance(layer, FactorisedCodebook)]

    @torch.no_grad()
    def scatter(self, x: Tensor, generator: torch.Generator | None) -> None:
        """Codebooks at random, each around what reaches it of latents [B, W, F]: for a network that is not trained."""
        for level in self.codebooks():
            points = level.in_proj(x)
            spread = torch.randn(level.codebook.weight.shape, generator=generator).to(points.device)
            level.codebook.weight.copy_(points.mean((0, 2)) + points.std((0, 2)) * spread)
            x = x - level.out_proj(level.vectors(level.nearest(points)))

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        """Latents [B, W, F] -> codes [B, levels, F]."""
        if self.beam > 1:
            tables = [level.table() for level in self.codebooks()[:levels]]
            return search(x.transpose(1, 2).flatten(0, 1), tables, self.beam).view(len(x), -1, len(tables)).transpose(1, 2)
        first, *others = self.codebooks()[:levels]
        before, codes = first, [first.nearest(first.in_proj(x))]
        for level in others:
            x = x - before.out_proj(before.vectors(codes[-1]))
            before = level
            codes.append(level.nearest(level.in_proj(x)))
        return torch.stack(codes, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, k, F] of the first k levels -> latents [B, W, F]."""
        levels = self.codebooks()[: codes.shape[1]]
        vectors = torch.cat([level.vectors(code) for level, code in zip(levels, codes.unbind(1), strict=True)], dim=1)
        weight = torch.cat([level.out_proj.weight for level in levels], dim=1)  # the sum of projections is one projection
        bias = torch.stack([level.out_proj.bias for level in levels if level.out_proj.bias is not None]).sum(0)
        return F.conv1d(vectors, weight, bias)

    def forward(self, x: Tensor, depth: Tensor | None = None, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, W, F]: item b is rebuilt from its first depth[b] levels (None: from all).

        Nothing here is random; `generator` is taken for the sake of one interface.
        """
        rest, total, loss, codes, before = x, torch.zeros_like(x), x.new_zeros(()), [], None
        for index, level in enumerate(self.codebooks()):
            points = level.in_proj(rest)
            code = level.nearest(points.detach())
            vectors = level.vectors(code)
            used = torch.ones(len(x), device=x.device) if depth is None else (depth > index).to(x.dtype)
            pull = (vectors - points.detach()).square().mean((1, 2)) + COMMITMENT * (points - vectors.detach()).square().mean((1, 2))
            loss = loss + (pull * used).mean()
            if self.balance:
                loss = loss + self.balance * balance_loss(level.scores(points.detach()))
            if self.apart:
                given = level.out_proj(vectors)  # with the gradient of the codes
                loss = loss if before is None else loss + self.apart * similarity_loss(before, given)
                before = given
            part = level.out_proj(points + (vectors - points).detach())
            total = total + part * used[:, None, None]
            rest = rest - part
            codes.append(code)
        return Quantized(total, torch.stack(codes, 1), loss / len(codes))
