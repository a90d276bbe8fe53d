"""A perceiver (Jaegle et al. 2021, arxiv.org/abs/2103.03206) that sums up frames of any number in a fixed number of vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD = 64  # dimensions of a head
GROWTH = 4  # of the feed-forward layers, before the gate takes a third


class Attention(nn.Module):
    """The vectors [B, N, D] ask themselves and the frames [B, F, D]: -> [B, N, D]."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, heads * HEAD, bias=False)
        self.key_value = nn.Linear(width, 2 * heads * HEAD, bias=False)
        self.out = nn.Linear(heads * HEAD, width, bias=False)

    def forward(self, vectors: Tensor, frames: Tensor) -> Tensor:
        key, value = self.key_value(torch.cat([vectors, frames], dim=1)).chunk(2, dim=-1)
        q, k, v = (x.unflatten(-1, (self.heads, HEAD)).transpose(1, 2) for x in (self.query(vectors), key, value))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class GatedFeedForward(nn.Module):
    """[B, N, D] -> [B, N, D]: one half of a linear layer, gated by GELU of the other, and a linear layer back."""

    def __init__(self, width: int):
        super().__init__()
        hidden = int(width * GROWTH * 2 / 3)
        self.linear1, self.linear2 = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        y, gate = self.linear1(x).chunk(2, dim=-1)
        return self.linear2(F.gelu(gate) * y)


class Resampler(nn.Module):
    """Frames [B, C, F] -> vectors [B, D, N], each of length sqrt(D) before a learnt scale of its dimensions."""

    def __init__(self, inputs: int, width: int, vectors: int, layers: int, heads: int):
        super().__init__()
        self.project = nn.Linear(inputs, width)
        self.vectors = nn.Parameter(torch.zeros(vectors, width))
        self.attentions = nn.ModuleList(Attention(width, heads) for _ in range(layers))
        self.feedforwards = nn.ModuleList(GatedFeedForward(width) for _ in range(layers))
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        frames, y = self.project(x.transpose(1, 2)), self.vectors.expand(len(x), -1, -1)
        for attention, feedforward in zip(self.attentions, self.feedforwards, strict=True):
            y = y + attention(y, frames)
            y = y + feedforward(y)
        return (F.normalize(y, dim=-1) * len(self.scale) ** 0.5 * self.scale).transpose(1, 2)
