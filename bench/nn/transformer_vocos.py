"""Vocos whose blocks are a transformer, as X-codec2 decodes (Ye et al. 2025, arxiv.org/abs/2502.04128): latents [B, D, F] -> wav.

Latents -> embedding -> residual convolutions -> transformer over the whole clip -> residual convolutions -> spectra -> [B, 1, F * step].
Not causal, and position-free: the released models turn queries and keys by their head's number, where a rotary embedding turns them by
their time. Both of a pair are turned alike, which changes no product of them, so that here nothing is turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.attentive_vocos import EPSILON, InverseSTFT, ResNet
from bench.nn.onednn import linear
from bench.nn.stream import few_at_once
from bench.nn.vocos import PaddedConv1d


@dataclass(frozen=True)
class TransformerVocos:
    """The decoder as data."""

    dimension: int = 2048  # of the latents
    step: int = 320  # samples per frame
    overlap: int = 4  # steps that a window is long
    width: int = 1024
    heads: int = 16
    feedforward: int = 4096
    layers: int = 12
    groups: int = 32  # of the convolutions' norms

    def decoder(self) -> TransformerVocosDecoder:
        """A new decoder."""
        return TransformerVocosDecoder(self)


class Layer(nn.Module):
    """Attention and feed-forward, each of a normed input and added to it: [B, F, C] -> the same."""

    def __init__(self, shape: TransformerVocos):
        super().__init__()
        self.heads, width = shape.heads, shape.width
        self.norm1, self.norm2 = nn.RMSNorm(width, EPSILON), nn.RMSNorm(width, EPSILON)
        self.in_proj, self.out_proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.linear1 = nn.Linear(width, shape.feedforward, bias=False)
        self.linear2 = nn.Linear(shape.feedforward, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = linear(self.in_proj, self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + linear(self.out_proj, F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + linear(self.linear2, F.silu(linear(self.linear1, self.norm2(x)), inplace=not torch.is_grad_enabled()))


class TransformerVocosDecoder(nn.Module):
    """Latents [B, D, F] -> wav [B, 1, F * step]."""

    def __init__(self, shape: TransformerVocos):
        super().__init__()
        width, groups = shape.width, shape.groups
        self.mix = nn.Linear(shape.dimension, width)
        self.embed = PaddedConv1d(width, width, 7, groups=1)
        self.before = nn.Sequential(ResNet(width, groups), ResNet(width, groups))
        self.layers = nn.Sequential(*(Layer(shape) for _ in range(shape.layers)))
        self.after = nn.Sequential(ResNet(width, groups), ResNet(width, groups))
        self.norm = nn.LayerNorm(width, EPSILON)
        self.head = InverseSTFT(width, shape.step, shape.overlap)

    def forward(self, x: Tensor) -> Tensor:
        return few_at_once(self.clips, x)

    def clips(self, x: Tensor) -> Tensor:
        """What forward does, of a few clips."""
        x = self.before(self.embed(linear(self.mix, x.transpose(1, 2)).transpose(1, 2)))
        x = self.after(self.layers(x.transpose(1, 2)).transpose(1, 2))
        return self.head(self.norm(x.transpose(1, 2)).transpose(1, 2))
