"""Codebooks from many latents at once: a batch holds fewer latents than a codebook has codes.

Every quantizer of a model is taken to see the model's latents, as Mimi's two do and a plain one does. Latents are [N, D, F] throughout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.factorised import FactorisedCodebook, FactorisedQuantizer
from bench.nn.quantize import DECAY, Codebook, ResidualQuantizer, kmeans

LLOYD_STEPS = 12
KMEANS_STEPS = 30


@torch.no_grad()
def start(model: nn.Module, latents: Tensor, generator: torch.Generator) -> None:
    """New codebooks by k-means of latents, level by level."""
    for part in quantizers(model):
        if isinstance(part, ResidualQuantizer):
            rest = projected(part, latents)
            for codebook in part.codebooks():
                codebook.start(rest, generator)
                rest = rest - codebook.decode(codebook.encode(rest))
        else:
            rest = latents
            for level in part.codebooks():
                start_level(level, rest, generator)
                rest = rest - level.out_proj(level.vectors(level.nearest(level.in_proj(rest))))


@torch.no_grad()
def refit(model: nn.Module, latents: Tensor) -> None:
    """The codebooks moved to the means of the latents that fall to them: exact where training saw only the last batches."""
    for part in quantizers(model):
        if isinstance(part, ResidualQuantizer):
            rest = projected(part, latents)
            for codebook in part.codebooks():
                for _ in range(LLOYD_STEPS):
                    settle(codebook, rest)
                rest = rest - codebook.decode(codebook.encode(rest))
        else:
            rest = latents
            for level in part.codebooks():
                for _ in range(LLOYD_STEPS):
                    settle_level(level, level.in_proj(rest))
                rest = rest - level.out_proj(level.vectors(level.nearest(level.in_proj(rest))))


def followers(model: nn.Module) -> nn.ModuleList:
    """Running sums for the codes of each factorised level, which a checkpoint holds beside the model."""
    levels = [level for part in quantizers(model) if isinstance(part, FactorisedQuantizer) for level in part.codebooks()]
    return nn.ModuleList(Codebook(level.codebook.num_embeddings, level.codebook.embedding_dim) for level in levels)


@torch.no_grad()
def follow(model: nn.Module, running: nn.ModuleList, latents: Tensor, generator: torch.Generator) -> None:
    """One step of factorised codes towards the latents that fall to them, rare ones started again; other codebooks see to that themselves.

    Codes that learn by gradient lag behind latents that grow, and the gradient, which passes straight through, makes these grow further.
    """
    levels = [level for part in quantizers(model) if isinstance(part, FactorisedQuantizer) for level in part.codebooks()]
    rest = latents
    for level, sums in zip(levels, running, strict=True):
        assert isinstance(sums, Codebook) and level.in_proj.bias is not None
        points = level.in_proj(rest)
        codes = level.nearest(points)
        rest = rest - level.out_proj(level.vectors(codes))
        if not sums.initialized:
            sums.cluster_usage.fill_(codes.numel() / sums.size)
            sums.embedding_sum.copy_(level.codebook.weight * sums.cluster_usage[:, None])
            sums.initialized.fill_(1)
        sums.learn(flat(points), codes.flatten(), generator)
        level.codebook.weight.copy_(sums.vectors()[0])
        level.in_proj.bias[-1].lerp_(points[:, :-1].square().sum(1).mean().sqrt(), 1 - DECAY)  # the constant of start_level


@torch.no_grad()
def keep(model: nn.Module, frames: int) -> None:
    """Codebooks of a file, whose vectors all weigh 1, made as heavy as if they had seen batches of so many frames."""
    for part in model.modules():
        if isinstance(part, Codebook):
            for value in (part.cluster_usage, part.embedding_sum):
                value.mul_(frames / part.size)
            part.forget()


def inside(name: str) -> bool:
    """Whether a tensor of a model's state is a codebook's, or of the projections that a factorised one has for itself."""
    return name.startswith("quantizer.") and ".layers." in name


def settle(codebook: Codebook, points: Tensor) -> None:
    """One step of Lloyd's algorithm over points [N, D]; a vector that nobody is nearest to goes where the worst-served points are."""
    codes = codebook.encode(points)
    means, usage = means_of(points, codes, codebook.size)
    replace_unused(means, usage, points, codebook.decode(codes))
    codebook.cluster_usage.copy_(usage.clamp(min=1))
    codebook.embedding_sum.copy_(means * codebook.cluster_usage[:, None])
    codebook.forget()


def settle_level(level: FactorisedCodebook, points: Tensor) -> None:
    """The same of one factorised level and points [N, D, F], where the nearest is the one of the nearest direction."""
    codes = level.nearest(points)
    means, usage = means_of(flat(points), codes.flatten(), level.codebook.num_embeddings)
    replace_unused(means, usage, flat(points), flat(level.vectors(codes)))
    level.codebook.weight.copy_(means)


def means_of(points: Tensor, codes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Mean [size, D] and number [size] of the points [N, D] of each code [N]."""
    usage = torch.bincount(codes, minlength=size).to(points.dtype)
    sums = torch.zeros(size, points.shape[1], device=points.device).index_add_(0, codes, points)
    return sums / usage.clamp(min=1)[:, None], usage


def replace_unused(vectors: Tensor, usage: Tensor, points: Tensor, served: Tensor) -> None:
    """In place: each of vectors [size, D] that nobody uses becomes one of points [N, D], those farthest from what serves them first."""
    unused = (usage == 0).nonzero()[:, 0]
    far = (points - served).square().sum(-1).topk(min(len(points), len(unused))).indices
    vectors[unused[: len(far)]] = points[far]


def start_level(level: FactorisedCodebook, latents: Tensor, generator: torch.Generator) -> None:
    """Projections onto the principal axes of the latents, and codes by k-means of the directions that the points have there.

    The last of the D dimensions is a constant, as long as the points are on average: so a direction tells their size, too.
    """
    points, axes_count = flat(latents), level.codebook.embedding_dim - 1
    middle = points.mean(0)
    centred = points - middle
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -axes_count:]  # [W, D - 1]
    size = (centred @ axes).square().sum(-1).mean().sqrt()
    assert level.in_proj.bias is not None and level.out_proj.bias is not None
    for value in (level.in_proj.weight, level.out_proj.weight):
        value.zero_()
    level.in_proj.weight[:-1, :, 0] = axes.T
    level.out_proj.weight[:, :-1, 0] = axes
    level.in_proj.bias[:-1] = -middle @ axes
    level.in_proj.bias[-1] = size
    level.out_proj.bias.copy_(middle)
    inner = level.in_proj(latents)
    directions, _ = kmeans(F.normalize(flat(inner)), level.codebook.num_embeddings, KMEANS_STEPS, generator)
    level.codebook.weight.copy_(directions)
    for _ in range(3):
        settle_level(level, inner)  # with the lengths that the points of each direction have


def bypass(model: nn.Module, latents: Tensor) -> Tensor:
    """Latents through the projections of the quantizers alone: what endless codebooks would give."""
    parts = [part for part in quantizers(model) if isinstance(part, ResidualQuantizer)]
    return torch.stack([part.output_proj(part.input_proj(latents)) for part in parts]).sum(0) if parts else latents


def hold(model: nn.Module) -> None:
    """No gradient for factorised levels: their codes follow the latents, their projections stay the axes they began with."""
    for part in quantizers(model):
        if isinstance(part, FactorisedQuantizer):
            part.requires_grad_(False)


def freeze(model: nn.Module) -> None:
    """From now on the codes of a latent stay what they are: codebooks and what lies before them stand still."""
    for part in quantizers(model):
        part.eval()
        (part.input_proj if isinstance(part, ResidualQuantizer) else part).requires_grad_(False)


def quantizers(model: nn.Module) -> list[ResidualQuantizer | FactorisedQuantizer]:
    """The quantizers of a model, in order."""
    return [part for part in model.modules() if isinstance(part, ResidualQuantizer | FactorisedQuantizer)]


def projected(part: ResidualQuantizer, latents: Tensor) -> Tensor:
    """Latents -> the points [N * F, d] that the first codebook sees."""
    return flat(part.input_proj(latents))


def flat(x: Tensor) -> Tensor:
    """[N, D, F] -> [N * F, D]."""
    return x.transpose(1, 2).flatten(0, 1)
