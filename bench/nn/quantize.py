"""Vector quantizers: latents [B, D, F] <-> codes [B, K, F], nearest code by Euclidean distance, codebooks learnt by moving averages.

A codebook's vectors are `embedding_sum / cluster_usage`, both running sums (van den Oord et al. 2017, arxiv.org/abs/1711.00937,
appendix A). In training mode a forward pass starts the codebooks by k-means, moves them and revives codes nobody uses; gradients
pass straight through. Chance comes from the generator that the caller gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import CausalConv1d
from bench.nn.onednn import Order, for_onednn, product
from bench.nn.search import search

DECAY = 0.99  # of the running sums, a step
RARE = 0.1  # a code used less than this share of a fair one is restarted
CHECK_EVERY = 5  # steps between two looks for rare codes
KMEANS_STEPS = 50


@dataclass(frozen=True)
class Quantized:
    """What a quantizer gives in training: `x` [B, D, F] with straight-through gradient, codes [B, K, F], commitment loss (scalar)."""

    x: Tensor
    codes: Tensor
    loss: Tensor


def depths(count: int, levels: int, dropout: float, generator: torch.Generator | None) -> Tensor:
    """How many levels [count] each item is rebuilt from: a share `dropout` of them from 1 to all at random, the others from all."""
    drawn = torch.randint(1, levels + 1, (count,), generator=generator)
    return drawn.masked_fill(torch.rand(count, generator=generator) >= dropout, levels)


def draw(points: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """`count` of points [N, D] at random: different ones if there are enough."""
    device = generator.device if generator is not None else points.device
    if len(points) >= count:
        chosen = torch.randperm(len(points), generator=generator, device=device)[:count]
    else:
        chosen = torch.randint(len(points), (count,), generator=generator, device=device)
    return points[chosen.to(points.device)]


def nearest(points: Tensor, codebook: Tensor, half_norms: Tensor, order: Order | None = None) -> Tensor:
    """Index [N] of the vector of codebook [S, D] nearest to each of points [N, D]; half_norms [S] = |vector|^2 / 2.

    `order`: of a codebook that is used again and again.
    """
    # |x - c|^2 = |x|^2 - 2 (x.c - |c|^2 / 2): the largest bracket wins, and the brackets are one matrix product
    if for_onednn(points):
        bias = order.of(codebook, lambda _: -half_norms, "bias") if order else -half_norms
        brackets = order.product(points, codebook, bias) if order else product(points, codebook, bias)
        brackets = brackets if brackets.dtype == torch.float32 else brackets.float()  # numpy knows no bfloat16
        return torch.from_numpy(brackets.numpy().argmax(-1))  # torch's argmax takes ten times as long
    return torch.addmm(half_norms, points, codebook.T, beta=-1).argmax(-1)


def kmeans(points: Tensor, count: int, steps: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """`count` centres [count, D] of points [N, D] and how many points each has; an empty centre starts again at a random point."""
    centres, members = draw(points, count, generator), torch.ones(count, device=points.device)
    for _ in range(steps):
        labels = nearest(points, centres, centres.square().sum(-1) / 2)
        members = torch.bincount(labels, minlength=count).to(points.dtype)
        sums = torch.zeros_like(centres).index_add_(0, labels, points)
        centres = torch.where(members[:, None] > 0, sums / members.clamp(min=1)[:, None], draw(points, count, generator))
    return centres, members.clamp(min=1)


class Codebook(nn.Module):
    """`size` vectors of `dimension`: points [N, D] -> indices [N] and back."""

    initialized: Tensor
    cluster_usage: Tensor
    embedding_sum: Tensor
    table: Tensor | None
    half_norms: Tensor | None

    def __init__(self, size: int, dimension: int):
        super().__init__()
        self.size = size
        self.steps = 0
        self.register_buffer("initialized", torch.zeros(1))
        self.register_buffer("cluster_usage", torch.ones(size))
        self.register_buffer("embedding_sum", torch.zeros(size, dimension))
        self.forget()

    def forget(self) -> None:
        """Drop what was derived from the running sums: needed after every change to them."""
        self.register_buffer("table", None, persistent=False)
        self.register_buffer("half_norms", None, persistent=False)
        self.order = Order()  # a new table may lie where the old one lay

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.forget()

    def vectors(self) -> tuple[Tensor, Tensor]:
        """The codebook [S, D] and half its squared norms [S], derived once."""
        if self.table is None or self.half_norms is None:
            with torch.inference_mode(False), torch.no_grad():  # a table made in inference mode could not be used in training later
                self.table = self.embedding_sum / self.cluster_usage.clamp(min=1e-5)[:, None]
                self.half_norms = self.table.square().sum(-1) / 2
        return self.table, self.half_norms

    def encode(self, points: Tensor) -> Tensor:
        return nearest(points, *self.vectors(), self.order)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes of any shape [...] -> vectors [..., D]."""
        return F.embedding(codes, self.vectors()[0])

    @torch.no_grad()
    def start(self, points: Tensor, generator: torch.Generator | None) -> None:
        """k-means on the first points ever seen."""
        centres, members = kmeans(points, self.size, KMEANS_STEPS, generator)
        self.embedding_sum.copy_(centres * members[:, None])
        self.cluster_usage.copy_(members)
        self.initialized.fill_(1)
        self.forget()

    @torch.no_grad()
    def learn(self, points: Tensor, codes: Tensor, generator: torch.Generator | None) -> None:
        """One step of the moving averages towards points [N, D] with their codes [N]; now and then restart rare codes at a point."""
        usage = torch.bincount(codes, minlength=self.size).to(points.dtype)
        sums = torch.zeros_like(self.embedding_sum).index_add_(0, codes, points)
        self.cluster_usage.lerp_(usage, 1 - DECAY)
        self.embedding_sum.lerp_(sums, 1 - DECAY)
        self.steps += 1
        if self.steps % CHECK_EVERY == 0:
            fair = self.cluster_usage.mean()
            rare = self.cluster_usage < RARE * fair
            fresh = draw(points, self.size, generator)
            self.embedding_sum.copy_(torch.where(rare[:, None], fresh * fair, self.embedding_sum))
            self.cluster_usage.copy_(torch.where(rare, fair, self.cluster_usage))
        self.forget()


class ResidualQuantizer(nn.Module):
    """Each level quantizes what the levels before left over (Zeghidour et al. 2021, arxiv.org/abs/2107.03312, algorithm 1).

    Works in `dimension`, between 1x1 projections from and to `width`; where `width` is 0 there are none. `beam`: sequences of codes that
    encoding follows; training always takes the nearest code of each level.
    """

    def __init__(self, levels: int, size: int, dimension: int, width: int, beam: int = 1):
        super().__init__()
        self.beam = beam
        self.layers = nn.ModuleList(Codebook(size, dimension) for _ in range(levels))
        self.input_proj = CausalConv1d(width, dimension, 1, bias=False) if width else nn.Identity()
        self.output_proj = CausalConv1d(dimension, width, 1, bias=False) if width else nn.Identity()

    def codebooks(self) -> list[Codebook]:
        return [layer for layer in self.layers if isinstance(layer, Codebook)]

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        """Latents [B, width, F] -> codes [B, levels, F]."""
        batch, _, frames = x.shape
        rest = self.input_proj(x).transpose(1, 2).flatten(0, 1)
        if self.beam > 1:
            tables = [codebook.vectors()[0] for codebook in self.codebooks()[:levels]]
            return search(rest, tables, self.beam).view(batch, frames, -1).transpose(1, 2)
        codes = []
        for codebook in self.codebooks()[:levels]:
            codes.append(codebook.encode(rest))
            rest = rest - codebook.decode(codes[-1])
        return torch.stack(codes).view(len(codes), batch, frames).transpose(0, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, k, F] of the first k levels -> latents [B, width, F]."""
        total = torch.zeros((), device=codes.device)
        for codebook, level in zip(self.codebooks(), codes.unbind(1), strict=False):
            total = total + codebook.decode(level)
        return self.output_proj(total.transpose(1, 2))

    @torch.no_grad()
    def scatter(self, x: Tensor, generator: torch.Generator, spread: float = 0.4) -> None:
        """Random codebooks around what reaches each level from latents [B, width, F]: an untrained quantizer that uses its codes."""
        rest = self.input_proj(x).transpose(1, 2).flatten(0, 1)
        for codebook in self.codebooks():
            noise = torch.randn(codebook.embedding_sum.shape, generator=generator).to(x.device)
            codebook.embedding_sum.copy_(rest.mean(0) + spread * rest.std(0) * noise)
            codebook.cluster_usage.fill_(1)
            codebook.initialized.fill_(1)
            codebook.forget()
            rest = rest - codebook.decode(codebook.encode(rest))

    def forward(self, x: Tensor, depth: Tensor | None = None, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, width, F]: item b is rebuilt from its first depth[b] levels (None: from all)."""
        latents = self.input_proj(x).transpose(1, 2)
        shape = latents.shape
        rest, total = latents.detach().flatten(0, 1), torch.zeros_like(latents)
        codes, loss, ready = [], latents.new_zeros(()), True
        for level, codebook in enumerate(self.codebooks()):
            # the level before must have learnt from an earlier batch: k-means leaves nothing of its own batch to learn from
            if self.training and not codebook.initialized and ready:
                codebook.start(rest, generator)
                ready = False
            code = codebook.encode(rest)
            vectors = codebook.decode(code)
            used = torch.ones(shape[0], device=x.device) if depth is None else (depth > level).to(latents.dtype)
            loss = loss + ((latents - (total + vectors.view(shape))).square().mean((1, 2)) * used).mean()
            total = total + vectors.view(shape) * used[:, None, None]
            if self.training and codebook.initialized:
                codebook.learn(rest, code, generator)
            rest = rest - vectors
            codes.append(code.view(shape[:2]))
        straight = latents + (total - latents).detach()
        return Quantized(self.output_proj(straight.transpose(1, 2)), torch.stack(codes, 1), loss / len(codes))


class SplitQuantizer(nn.Module):
    """Two residual quantizers of the same latents whose outputs add up: `first` levels of meaning, then the rest (Mimi, 2410.00037).

    Codebooks of the first have `first_size` codes (0: as many as the others).
    """

    def __init__(self, levels: int, size: int, dimension: int, width: int, first: int = 1, first_size: int = 0, beam: int = 1):
        super().__init__()
        if levels <= first:
            raise ValueError(f"a split quantizer needs more levels than its first part has, got {levels} and {first}")
        self.first = first
        self.levels = levels
        self.rvq_first = ResidualQuantizer(first, first_size or size, dimension, width, beam)
        self.rvq_rest = ResidualQuantizer(levels - first, size, dimension, width, beam)

    def encode(self, x: Tensor, levels: int) -> Tensor:
        """Latents [B, width, F] -> codes [B, levels, F]."""
        codes = self.rvq_first.encode(x, min(levels, self.first))
        return codes if levels <= self.first else torch.cat([codes, self.rvq_rest.encode(x, levels - self.first)], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, k, F] of the first k levels -> latents [B, width, F]."""
        x = self.rvq_first.decode(codes[:, : self.first])
        return x if codes.shape[1] <= self.first else x + self.rvq_rest.decode(codes[:, self.first :])

    def forward(self, x: Tensor, depth: Tensor | None = None, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, width, F]: item b is rebuilt from its first depth[b] levels (None: from all)."""
        depth = torch.full((len(x),), self.levels, device=x.device) if depth is None else depth
        one = self.rvq_first(x, None, generator)
        two = self.rvq_rest(x, depth - self.first, generator)
        some = (depth > self.first).to(x.dtype)[:, None, None]
        share = self.first / self.levels
        return Quantized(one.x + two.x * some, torch.cat([one.codes, two.codes], dim=1), one.loss * share + two.loss * (1 - share))
