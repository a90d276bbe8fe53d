"""Vocos with a position net before its blocks, as WavTokenizer decodes (Ji et al. 2024, arxiv.org/abs/2408.16532): [B, D, F] -> wav.

Latents -> embedding -> position net: residual convolutions around one attention over the whole clip -> ConvNeXt blocks -> spectra ->
wav [B, 1, F * step]. All is centred, and group norms see the whole clip: no frame is decoded alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.onednn import Linear, for_onednn, product
from bench.nn.vocos import PaddedConv1d, Stack, overlap_add

EPSILON = 1e-6  # of every norm
QUERIES = 1024  # that attend at once: memory grows with the clip, not with its square


@dataclass(frozen=True)
class AttentiveVocos:
    """The decoder as data."""

    dimension: int = 512  # of the latents
    step: int = 320  # samples per frame
    overlap: int = 4  # steps that a window is long
    width: int = 768
    hidden: int = 2304
    kernel: int = 7
    layers: int = 12
    groups: int = 32  # of the position net's norms

    def decoder(self) -> AttentiveVocosDecoder:
        """A new decoder."""
        return AttentiveVocosDecoder(self)


class GroupNorm(nn.GroupNorm):
    """[B, C, F] -> [B, C, F] with mean 0 and variance 1 over all frames of a group of channels, then scaled and moved a channel."""

    def forward(self, input: Tensor) -> Tensor:
        if not for_onednn(input):
            return super().forward(input)
        rows = input.transpose(1, 2)  # torch's own would store the result by channels, and the next layer store it by frames again
        rows = rows - self._pooled(rows)
        gain = self.weight * (self._pooled(rows.square()) + self.eps).rsqrt()
        return torch.addcmul(self.bias, rows, gain, out=rows).transpose(1, 2)

    def _pooled(self, rows: Tensor) -> Tensor:
        """Mean of rows [B, F, C] over the frames and the channels of a group: [B, 1, C]."""
        groups = rows.mean(1, keepdim=True).unflatten(-1, (self.num_groups, -1))
        return groups.mean(-1, keepdim=True).expand_as(groups).flatten(2)


class ResNet(nn.Module):
    """x + two convolutions, each of a normed and activated input: [B, C, F] -> [B, C, F]."""

    def __init__(self, width: int, groups: int):
        super().__init__()
        self.norm1, self.norm2 = GroupNorm(groups, width, EPSILON), GroupNorm(groups, width, EPSILON)
        self.conv1, self.conv2 = PaddedConv1d(width, width, 3, groups=1), PaddedConv1d(width, width, 3, groups=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x), inplace=True))
        return x + self.conv2(F.silu(self.norm2(y), inplace=True))


class Attention(nn.Module):
    """x + attention of one head over all frames: [B, C, F] -> [B, C, F]."""

    def __init__(self, width: int, groups: int):
        super().__init__()
        self.norm = GroupNorm(groups, width, EPSILON)
        self.in_proj, self.out_proj = Linear(width, 3 * width), Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.in_proj(self.norm(x).transpose(1, 2)).chunk(3, dim=-1)
        y = attended(q, k, v) if for_onednn(x) else F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return x + self.out_proj(y).transpose(1, 2)


def attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of one head [B, F, D] on a CPU, in blocks of queries: torch's own is made for narrow heads and takes twice as long."""
    q = q / math.sqrt(q.shape[-1])
    items = []
    for queries, keys, values in zip(q, k.contiguous(), v.transpose(1, 2).contiguous(), strict=True):
        blocks = [product(product(block, keys).softmax(-1), values) for block in queries.split(QUERIES)]
        items.append(torch.cat(blocks))
    return torch.stack(items)


class InverseSTFT(nn.Module):
    """Features [B, C, F] -> wav [B, 1, F * step]: magnitudes and phases, transformed, windowed, added up, divided by the squared windows.

    A window is `overlap` steps long, which need not be a whole number, and has its frame in its middle; what reaches past the ends is
    dropped ("same" padding).
    """

    LOUDEST = math.log(100)  # nepers: keeps the exponential, and its gradient, finite

    taper: Tensor

    def __init__(self, width: int, step: int, overlap: float):
        super().__init__()
        self.step, self.window = step, round(step * overlap)
        self.bins = self.window // 2 + 1
        self.linear = Linear(width, 2 * self.bins)
        self.register_buffer("taper", torch.hann_window(self.window), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        magnitude, phase = self.linear(x.transpose(1, 2)).float().split(self.bins, dim=-1)
        spectrum = torch.polar(magnitude.clamp(max=self.LOUDEST).exp(), phase)
        windows = torch.fft.irfft(spectrum, n=self.window).mul_(self.taper)
        return (self.joined(windows) / self.joined(self.taper.square().expand(1, x.shape[-1], -1)))[:, None]

    def joined(self, windows: Tensor) -> Tensor:
        """Windows [B, F, window], each a step after the one before, added up: [B, F * step] without the ends."""
        early = (self.window - self.step) // 2
        whole = F.pad(windows, (0, -self.window % self.step))
        total = overlap_add(whole.unflatten(-1, (-1, self.step))).flatten(1)
        return total[:, early : early + windows.shape[1] * self.step]


class AttentiveVocosDecoder(nn.Module):
    """Latents [B, D, F] -> wav [B, 1, F * step]."""

    def __init__(self, shape: AttentiveVocos):
        super().__init__()
        width, groups = shape.width, shape.groups
        self.embed = PaddedConv1d(shape.dimension, width, shape.kernel, groups=1)
        around = [ResNet(width, groups) for _ in range(4)]
        self.positions = nn.Sequential(*around[:2], Attention(width, groups), *around[2:], GroupNorm(groups, width, EPSILON))
        self.stack = Stack(width, shape.hidden, shape.kernel, shape.layers, causal=False, epsilon=EPSILON)
        self.head = InverseSTFT(width, shape.step, shape.overlap)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stack(self.positions(self.embed(x))))
