"""Transformer over maps that attends in windows (Swin: Liu et al. 2021, arxiv.org/abs/2103.14030), with steps between numbers of bands.

Maps are [B, H, T, C]: H bands, T columns. Every second layer's windows are shifted by half of one; there the map is rolled, and places that
meet only by that do not see each other. Maps are filled up with zeros, behind the norm, to whole windows: that filling is seen.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.onednn import Linear

APART = -100.0  # added to the score of two places that do not see each other


class SwinLayer(nn.Module):
    """Attention in windows of `window` x `window` places and a feed-forward: [B, H, T, C] -> [B, H, T, C]."""

    offsets: Tensor

    def __init__(self, width: int, heads: int, window: int, shift: int, ratio: int = 4):
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.in_proj, self.out_proj = Linear(width, 3 * width), Linear(width, width)
        self.linear1, self.linear2 = Linear(width, ratio * width), Linear(ratio * width, width)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))  # of each difference of two places
        row, column = (x.flatten() for x in torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"))
        down, right = (x[:, None] - x + window - 1 for x in (row, column))
        self.register_buffer("offsets", down * (2 * window - 1) + right, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.linear2(self.linear1(self.norm2(x), after="gelu"))

    def attention(self, x: Tensor) -> Tensor:
        size, (_, bands, columns, _) = self.window, x.shape
        x = F.pad(x, (0, 0, 0, -columns % size, 0, -bands % size))
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        grid = x.shape[1] // size, x.shape[2] // size
        windows = x.unflatten(2, (-1, size)).unflatten(1, (-1, size)).transpose(2, 3).flatten(3, 4).flatten(0, 2)  # [B N, size^2, C]
        # of five dimensions torch's attention is a third slower: windows are clips of a batch
        q, k, v = self.in_proj(windows).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [B N, heads, size^2, d]
        bias = self.bias[self.offsets].permute(2, 0, 1)[None]
        if self.shift:
            bias = (bias + self.apart(grid)[:, None]).repeat(len(x), 1, 1, 1)
        y = self.out_proj(F.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).flatten(2))
        y = y.unflatten(0, (-1, *grid)).unflatten(3, (size, size)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        if self.shift:
            y = y.roll((self.shift, self.shift), (1, 2))
        return y[:, :bands, :columns]

    def apart(self, grid: tuple[int, int]) -> Tensor:
        """[N, size^2, size^2]: what scores lose in each window of a rolled map of so many windows."""
        size = self.window
        sides = []
        for count in grid:
            place = torch.arange(count * size, device=self.offsets.device)
            end = count * size
            sides.append((place >= end - size).int() + (place >= end - self.shift).int())
        region = 3 * sides[0][:, None] + sides[1]
        region = region.unflatten(1, (-1, size)).unflatten(0, (-1, size)).transpose(1, 2).reshape(-1, size * size)
        return APART * (region[:, :, None] != region[:, None])


class SwinStage(nn.Module):
    """Layers, shifted in turn, then a step: `down` halves the bands, `up` doubles them. [B, H, T, inputs] -> [B, H', T, outputs]."""

    def __init__(self, inputs: int, outputs: int, heads: int, layers: int, window: int, step: Literal["down", "up", "same"] = "same"):
        super().__init__()
        self.layers = nn.ModuleList(SwinLayer(inputs, heads, window, window // 2 * (i % 2)) for i in range(layers))
        self.step = step
        width = 2 * inputs if step == "down" else inputs
        self.norm = nn.Identity() if step == "same" else nn.LayerNorm(width)
        self.project = nn.Identity() if step == "same" else Linear(width, 2 * outputs if step == "up" else outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        if self.step == "down":
            x = x.unflatten(1, (-1, 2)).transpose(2, 3).flatten(3)
        x = self.project(self.norm(x))
        return x.unflatten(3, (2, -1)).transpose(2, 3).flatten(1, 2) if self.step == "up" else x
