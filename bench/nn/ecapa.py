"""What ECAPA-TDNN (Desplanques et al. 2020, arxiv.org/abs/2005.07143) makes of each frame before it pools them. Not causal.

Features [B, C, F] -> [B, 1536, F], zeros outside the clip. Norms are batch norms of fixed statistics and follow the rectifier.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SCALES = 8  # parts of a block's channels, each but the last convolved together with what the one before it gave
DILATIONS = (2, 3, 4)  # of the blocks


class Unit(nn.Module):
    """Convolution, rectifier, norm: [B, in, F] -> [B, out, F]."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1):
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, dilation=dilation, padding=dilation * (kernel // 2))
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).relu())


class Block(nn.Module):
    """x + a unit, convolutions over the scales, a unit, and each channel scaled by what the means of all say: [B, C, F] -> the same."""

    def __init__(self, width: int, dilation: int, squeezed: int):
        super().__init__()
        self.first, self.last = Unit(width, width), Unit(width, width)
        self.scales = nn.ModuleList(Unit(width // SCALES, width // SCALES, 3, dilation) for _ in range(SCALES - 1))
        self.squeeze, self.excite = nn.Linear(width, squeezed), nn.Linear(squeezed, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.first(x).chunk(SCALES, dim=1)
        found = [self.scales[0](parts[0])]
        for part, scale in zip(parts[1:-1], self.scales[1:], strict=True):
            found.append(scale(found[-1] + part))
        y = self.last(torch.cat([*found, parts[-1]], dim=1))
        return x + y * self.excite(self.squeeze(y.mean(2)).relu()).sigmoid()[..., None]


class EcapaFrames(nn.Module):
    """[B, inputs, F] -> [B, outputs, F]: a unit, blocks of growing dilation, and a convolution of what all of them gave."""

    def __init__(self, inputs: int, width: int, outputs: int, squeezed: int):
        super().__init__()
        self.first = Unit(inputs, width, kernel=5)
        self.blocks = nn.ModuleList(Block(width, dilation, squeezed) for dilation in DILATIONS)
        self.join = nn.Conv1d(len(DILATIONS) * width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, given = self.first(x), []
        for block in self.blocks:
            x = block(x)
            given.append(x)
        return self.join(torch.cat(given, dim=1)).relu()
