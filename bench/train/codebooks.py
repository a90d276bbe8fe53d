"""Codebooks from many latents at once: a batch holds fewer latents than a codebook has codes.

Every residual quantizer of a model is taken to see the model's latents, as Mimi's two do and a plain one does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.nn.quantize import Codebook, ResidualQuantizer

LLOYD_STEPS = 12


@torch.no_grad()
def start(model: nn.Module, latents: Tensor, generator: torch.Generator) -> None:
    """New codebooks by k-means of latents [N, D, F], level by level."""
    for part in residuals(model):
        rest = projected(part, latents)
        for codebook in part.codebooks():
            codebook.start(rest, generator)
            rest = rest - codebook.decode(codebook.encode(rest))


@torch.no_grad()
def refit(model: nn.Module, latents: Tensor) -> None:
    """The codebooks moved to the means of latents [N, D, F] that fall to them: exact where the running sums saw only the last batches."""
    for part in residuals(model):
        rest = projected(part, latents)
        for codebook in part.codebooks():
            for _ in range(LLOYD_STEPS):
                settle(codebook, rest)
            rest = rest - codebook.decode(codebook.encode(rest))


def settle(codebook: Codebook, points: Tensor) -> None:
    """One step of Lloyd's algorithm over points [N, D]; a vector that nobody is nearest to goes where the worst-served points are."""
    codes = codebook.encode(points)
    usage = torch.bincount(codes, minlength=codebook.size).to(points.dtype)
    sums = torch.zeros_like(codebook.embedding_sum).index_add_(0, codes, points)
    empty = usage == 0
    far = (points - codebook.decode(codes)).square().sum(-1).topk(min(len(points), int(empty.sum()))).indices
    sums[empty.nonzero()[: len(far), 0]] = points[far]
    codebook.embedding_sum.copy_(sums)
    codebook.cluster_usage.copy_(torch.where(empty, 1.0, usage))
    codebook.forget()


def bypass(model: nn.Module, latents: Tensor) -> Tensor:
    """Latents [N, D, F] through the projections of the quantizers alone: what endless codebooks would give."""
    return torch.stack([part.output_proj(part.input_proj(latents)) for part in residuals(model)]).sum(0)


def residuals(model: nn.Module) -> list[ResidualQuantizer]:
    """The residual quantizers of a model, in order."""
    return [part for part in model.modules() if isinstance(part, ResidualQuantizer)]


def projected(part: ResidualQuantizer, latents: Tensor) -> Tensor:
    """Latents [N, D, F] -> the points [N * F, d] that the first codebook sees."""
    return part.input_proj(latents).transpose(1, 2).flatten(0, 1)
