"""Focal modulation (Yang et al. 2022, arxiv.org/abs/2203.11926): features [B, C, F] <-> latents [B, D, F / stride].

Instead of attending to other frames, a frame is multiplied with a sum of its surroundings: depth-wise convolutions see wider and wider
windows, and the mean over the clip all of it; gates that the frame chooses say how much of each goes in. Hence a clip is coded whole,
unless a last convolution over the past stands for the mean: then all that is heard is past, and pieces of a stream can follow each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import CausalConv1d, CausalConvTranspose1d, Memory
from bench.nn.onednn import Linear
from bench.nn.snake import Conv, Snake
from bench.nn.vocos import PaddedConv1d


@dataclass(frozen=True)
class Focal:
    """Both halves as data: the widths of the compressor's layers and by how much each shortens; the decompressor has them reversed."""

    features: int = 1024  # channels of what is compressed
    dimension: int = 13  # of the latents
    widths: tuple[int, ...] = (1024, 512, 256)
    strides: tuple[int, ...] = (1, 1, 1)
    window: int = 7  # frames that the first convolution of a layer sees
    growth: int = 2  # frames that each further one sees more
    levels: int = 2  # convolutions of a layer
    past: int = 0  # frames that stand for the clip where nothing but the past is heard; 0: the whole clip is heard
    chunk: int = 0  # frames that are refined together after the decompressor; 0: none are

    def __post_init__(self) -> None:
        if self.past and self.stride != 1:
            raise ValueError("focal modulation that hears the past alone has strides of 1")

    @property
    def stride(self) -> int:
        """Frames of features to a latent."""
        return math.prod(self.strides)

    def compressor(self) -> Compressor:
        """A new compressor."""
        return Compressor(self)

    def decompressor(self) -> Decompressor:
        """A new decompressor."""
        return Decompressor(self)


class DynamicTanh(nn.Module):
    """tanh(alpha x), in place of a norm (Zhu et al. 2025, arxiv.org/abs/2503.10622)."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return (self.alpha * x).tanh()


class Modulation(nn.Module):
    """Each frame times a gated sum of its surroundings: rows [B, F, C] -> [B, F, C]."""

    def __init__(self, width: int, shape: Focal):
        super().__init__()
        self.past, self.sizes = shape.past, [width, width, shape.levels + 1]
        self.in_proj = Linear(width, sum(self.sizes))
        windows = [shape.window + shape.growth * level for level in range(shape.levels)]
        self.layers = nn.ModuleList(
            CausalConv1d(width, width, window, groups=width, pad="replicate") if shape.past else PaddedConv1d(width, width, window, width)
            for window in windows + [shape.past] * bool(shape.past)
        )
        self.context_proj, self.out_proj = Linear(width, width), Linear(width, width)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        query, context, gates = self.in_proj(x).split(self.sizes, dim=-1)
        total = torch.zeros_like(query)
        for layer, gate in zip(self.layers, gates.split(1, dim=-1), strict=False):  # without a past, the last gate is the clip's
            context = F.gelu(layer(context.transpose(1, 2), memory).transpose(1, 2))
            total = torch.addcmul(total, context, gate)
        if not self.past:
            total = torch.addcmul(total, F.gelu(context.mean(1, keepdim=True)), gates[..., -1:])
        return self.out_proj(query * self.context_proj(total))


class Block(nn.Module):
    """Modulation and feed-forward, each of normed rows [B, F, C] and added to them."""

    def __init__(self, width: int, shape: Focal):
        super().__init__()
        self.norm1, self.norm2 = (DynamicTanh() if shape.past else nn.LayerNorm(width) for _ in range(2))
        self.modulation = Modulation(width, shape)
        self.linear1, self.linear2 = Linear(width, 4 * width), Linear(4 * width, width)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        x = x + self.modulation(self.norm1(x), memory)
        return x + self.linear2(self.linear1(self.norm2(x), "gelu"))


class Down(nn.Module):
    """Convolution over `stride` frames, Snake, block: [B, C, F] -> [B, width, ceil(F / stride)]."""

    def __init__(self, inputs: int, width: int, stride: int, shape: Focal):
        super().__init__()
        self.stride = stride
        self.conv, self.snake, self.block = Conv(inputs, width, stride, stride), Snake(width), Block(width, shape)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        x = self.snake(self.conv(F.pad(x, (0, -x.shape[-1] % self.stride))))
        return self.block(x.transpose(1, 2), memory).transpose(1, 2)


class Up(nn.Module):
    """Block, Snake, transposed convolution: [B, width, F] -> [B, C, F * stride]."""

    def __init__(self, width: int, outputs: int, stride: int, shape: Focal):
        super().__init__()
        self.block, self.snake, self.conv = Block(width, shape), Snake(width), CausalConvTranspose1d(width, outputs, stride, stride)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return self.conv(self.snake(self.block(x.transpose(1, 2), memory).transpose(1, 2)))


class Compressor(nn.Module):
    """Features [B, C, F] -> latents [B, D, ceil(F / stride)]."""

    def __init__(self, shape: Focal):
        super().__init__()
        inputs = (shape.features, *shape.widths)
        sizes = zip(inputs, shape.widths, shape.strides, strict=False)
        self.layers = nn.ModuleList(Down(*size, shape) for size in sizes)
        self.out_proj = Linear(inputs[-1], shape.dimension)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, memory)
        return self.out_proj(x.transpose(1, 2)).transpose(1, 2)


class Refiner(nn.Module):
    """x + two products over whole chunks of frames: rows [B, F, C] -> the same; zeros fill the last chunk up."""

    def __init__(self, width: int, chunk: int):
        super().__init__()
        self.chunk = chunk
        self.in_proj, self.out_proj = (Linear(chunk * width, chunk * width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        chunks = F.pad(x, (0, 0, 0, -x.shape[1] % self.chunk)).unflatten(1, (-1, self.chunk)).flatten(2)
        refined = self.out_proj(self.in_proj(chunks, "gelu")).unflatten(-1, (self.chunk, -1)).flatten(1, 2)
        return x + refined[:, : x.shape[1]]


class Decompressor(nn.Module):
    """Latents [B, D, F] -> features [B, C, F * stride]."""

    def __init__(self, shape: Focal):
        super().__init__()
        widths = tuple(reversed((shape.features, *shape.widths)))
        self.in_proj = Linear(shape.dimension, widths[0])
        sizes = zip(widths, widths[1:], reversed(shape.strides), strict=False)
        self.layers = nn.ModuleList(Up(*size, shape) for size in sizes)
        if shape.chunk:
            self.refiner = Refiner(shape.features, shape.chunk)
        self.refined = shape.chunk > 0

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        x = self.in_proj(x.transpose(1, 2)).transpose(1, 2)
        for layer in self.layers:
            x = layer(x, memory)
        return self.refiner(x.transpose(1, 2)).transpose(1, 2) if self.refined else x
