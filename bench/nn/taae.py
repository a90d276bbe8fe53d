"""Transformers with a strided convolution between them (Parker et al. 2024, arxiv.org/abs/2411.19842), not causal.

wav [B, 1, T] <-> latents [B, D, T / hop]. The waveform is cut into patches, whose samples are the channels of the first convolution. A
frame attends to the frames of a window around it. Queries and keys are normed, and the first half of a head is turned by its position
(Su et al. 2021, arxiv.org/abs/2104.09864), value i with value i + a quarter of the head. Norms have a large epsilon: silence stays quiet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.causal_snake import SnakeBeta
from bench.nn.onednn import Linear
from bench.nn.snake import Conv, Upsample

EPSILON = 1e-2  # of the norms before attention and feed-forward
HEAD_EPSILON = 1e-6  # of the norms of queries and keys
LARGEST_PERIOD = 10_000.0
QUERIES = 256  # that are answered at once, or memory would grow with the square of the frames
FEEDFORWARD = 4  # its width over that of the frames


@dataclass(frozen=True)
class Taae:
    """Both halves as data; `depths` and `strides` of the stages from the waveform to the latents, the decoder has them reversed."""

    patch: int = 320  # samples
    dimension: int = 1024
    depths: tuple[int, ...] = (8, 20)
    strides: tuple[int, ...] = (1, 2)
    latent: int = 6
    head: int = 128
    before: int = 63  # frames that a frame attends to, besides itself
    after: int = 64
    snake: bool = False  # SnakeBeta before each convolution but the first

    @property
    def hop(self) -> int:
        """Samples to a latent."""
        return self.patch * math.prod(self.strides)


class Layer(nn.Module):
    """Attention among the frames of a window, and a gated feed-forward, each added through a learnt scale a channel: [B, F, D] -> same."""

    def __init__(self, shape: Taae):
        super().__init__()
        width, head = shape.dimension, shape.head
        self.shape = shape
        self.norm1, self.norm2 = nn.LayerNorm(width, EPSILON), nn.LayerNorm(width, EPSILON)
        self.norm_q, self.norm_k = nn.LayerNorm(head, HEAD_EPSILON), nn.LayerNorm(head, HEAD_EPSILON)
        self.in_proj, self.out_proj = Linear(width, 3 * width, bias=False), Linear(width, width, bias=False)
        self.linear1, self.linear2 = Linear(width, 2 * FEEDFORWARD * width), Linear(FEEDFORWARD * width, width)
        self.scale1, self.scale2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, angles: Tensor) -> Tensor:
        x = torch.addcmul(x, self.scale1, self.attention(self.norm1(x), angles))
        values, gate = self.linear1(self.norm2(x)).chunk(2, dim=-1)
        return torch.addcmul(x, self.scale2, self.linear2(values * F.silu(gate)))

    def attention(self, x: Tensor, angles: Tensor) -> Tensor:
        """x [B, F, D] -> [B, F, D]; `angles` [F, head / 4]."""
        q, k, v = self.in_proj(x).unflatten(-1, (3, -1, self.shape.head)).permute(2, 0, 3, 1, 4)
        q, k = turned(self.norm_q(q), angles), turned(self.norm_k(k), angles)
        return self.out_proj(around(q, k, v, self.shape.before, self.shape.after).transpose(1, 2).flatten(2))


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """x [B, H, F, d] with its first half turned by angles [F, d / 4]."""
    quarter = angles.shape[-1]
    one, two, rest = x.split([quarter, quarter, x.shape[-1] - 2 * quarter], dim=-1)
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat([one * cosine - two * sine, two * cosine + one * sine, rest], dim=-1)


def around(q: Tensor, k: Tensor, v: Tensor, before: int, after: int) -> Tensor:
    """Attention of [B, H, F, d] each, of a frame to so many frames before it, itself, and so many after it."""
    frames, pieces = q.shape[2], []
    for start in range(0, frames, QUERIES):
        stop = min(start + QUERIES, frames)
        first, last = max(0, start - before), min(frames, stop + after)
        behind = torch.arange(start, stop, device=q.device)[:, None] - torch.arange(first, last, device=q.device)
        mask = (behind <= before) & (behind >= -after)
        pieces.append(F.scaled_dot_product_attention(q[:, :, start:stop], k[:, :, first:last], v[:, :, first:last], mask))
    return torch.cat(pieces, dim=2)


class Stage(nn.Module):
    """So many layers: [B, C, F] -> [B, C, F]."""

    def __init__(self, shape: Taae, depth: int):
        super().__init__()
        self.size = shape.head // 4
        self.layers = nn.ModuleList(Layer(shape) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        rates = LARGEST_PERIOD ** (-torch.arange(self.size, device=x.device, dtype=torch.float32) / self.size)
        angles = torch.arange(x.shape[-1], device=x.device, dtype=torch.float32)[:, None] * rates
        x = x.transpose(1, 2)
        for layer in self.layers:
            x = layer(x, angles)
        return x.transpose(1, 2)


class Encoder(nn.Sequential):
    """wav [B, 1, n * hop] -> latents [B, latent, n]."""

    def __init__(self, shape: Taae):
        width = shape.dimension
        layers: list[nn.Module] = [Conv(shape.patch, width, 7, padding=3)]
        for depth, stride in zip(shape.depths, shape.strides, strict=True):
            down = Conv(width, width, 2 * stride, stride, padding=math.ceil(stride / 2)) if stride > 1 else nn.Identity()
            layers += [activation(shape), down, Stage(shape, depth)]
        super().__init__(*layers, activation(shape), Conv(width, shape.latent, 3, padding=1))
        self.patch = shape.patch

    def forward(self, wav: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().forward(wav[:, 0].unflatten(-1, (-1, self.patch)).transpose(1, 2))


class Decoder(nn.Sequential):
    """Latents [B, latent, n] -> wav [B, 1, n * hop]."""

    def __init__(self, shape: Taae):
        width = shape.dimension
        layers: list[nn.Module] = [Conv(shape.latent, width, 3, padding=1)]
        for depth, stride in zip(reversed(shape.depths), reversed(shape.strides), strict=True):
            up = Upsample(width, width, stride) if stride > 1 else nn.Identity()
            layers += [Stage(shape, depth), activation(shape), up]
        last = nn.Conv1d(width, shape.patch, 7, padding=3, bias=False)
        super().__init__(*layers, activation(shape), last)

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().forward(x).transpose(1, 2).flatten(1)[:, None]


def activation(shape: Taae) -> nn.Module:
    """What stands before a convolution."""
    return SnakeBeta(shape.dimension) if shape.snake else nn.Identity()
