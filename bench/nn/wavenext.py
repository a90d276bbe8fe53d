"""WaveNeXt (Okamoto et al. 2023, ieeexplore.ieee.org/document/10389765), causal: features -> wav, each frame's samples by one product.

Features [B, C, F] -> embedding -> ConvNeXt blocks that hear the past alone -> wav [B, 1, F * step] within [-1, 1].
"""

from __future__ import annotations

from torch import Tensor, nn

from bench.nn.attentive_vocos import EPSILON
from bench.nn.conv import CausalConv1d, Memory
from bench.nn.onednn import Linear
from bench.nn.vocos import Stack


class Samples(nn.Module):
    """Features [B, C, F] -> wav [B, 1, F * step], clipped at full scale."""

    def __init__(self, width: int, step: int):
        super().__init__()
        self.linear = Linear(width, step)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.transpose(1, 2)).flatten(1).clamp(-1, 1)[:, None]


class WaveNeXt(nn.Module):
    """Features [B, inputs, F] -> wav [B, 1, F * step]."""

    def __init__(self, inputs: int, width: int, hidden: int, layers: int, kernel: int, step: int):
        super().__init__()
        self.embed = CausalConv1d(inputs, width, kernel)
        self.stack = Stack(width, hidden, kernel, layers, causal=True, epsilon=EPSILON)
        self.head = Samples(width, step)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return self.head(self.stack(self.embed(x, memory), memory))
