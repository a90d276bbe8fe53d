"""ConvNeXt blocks that hear one vector of the whole clip: their layer norms take scale and shift from it. Not causal."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.vocos import ConvNeXt

EPSILON = 1e-6


class AdaptiveNorm(nn.Module):
    """x [B, F, C] brought to mean 0 and variance 1 in each frame, then scaled and moved as the vector [B, D] says."""

    def __init__(self, width: int, vector: int):
        super().__init__()
        self.scale, self.shift = nn.Linear(vector, width), nn.Linear(vector, width)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        x = F.layer_norm(x, x.shape[-1:], eps=EPSILON)
        return torch.addcmul(self.shift(vector)[:, None], x, self.scale(vector)[:, None])


class ConditionedConvNeXt(ConvNeXt):
    """bench.nn.vocos.ConvNeXt with an adaptive norm."""

    def __init__(self, width: int, hidden: int, kernel: int, scale: float, vector: int):
        super().__init__(width, hidden, kernel, scale, causal=False, epsilon=EPSILON)
        self.norm = AdaptiveNorm(width, vector)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.added(x, self.norm(self.depthwise(x).transpose(1, 2), vector))


class ConditionedStack(nn.Module):
    """bench.nn.vocos.Stack whose norms, but for the last, are adaptive: [B, C, F] and a vector [B, D] -> [B, C, F]."""

    def __init__(self, width: int, hidden: int, kernel: int, layers: int, vector: int):
        super().__init__()
        self.norm1, self.norm2 = AdaptiveNorm(width, vector), nn.LayerNorm(width, EPSILON)
        self.layers = nn.ModuleList(ConditionedConvNeXt(width, hidden, kernel, 1 / layers, vector) for _ in range(layers))

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        x = self.norm1(x.transpose(1, 2), vector).transpose(1, 2)
        for layer in self.layers:
            x = layer(x, vector)
        return self.norm2(x.transpose(1, 2)).transpose(1, 2)
