"""Causal decoder of Snake-activated stages: latents [B, D, n] -> wav [B, 1, n * hop], offline or piece by piece.

The form of DAC's decoder (bench/nn/snake.py) with all zeros of the convolutions on the left, and with a height of the sine that is learnt
apart from its speed (SnakeBeta: Lee et al. 2022, arxiv.org/abs/2206.04658), both as logarithms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.nn.conv import CausalConv1d, CausalConvTranspose1d, Memory
from bench.nn.flow import samples
from bench.nn.seanet import Chain, through
from bench.nn.snake import DILATIONS, KERNEL, snake
from bench.nn.stream import in_pieces


@dataclass(frozen=True)
class CausalSnake:
    """The decoder as data: `rates` are its strides from the latents to the waveform."""

    rates: tuple[int, ...] = (8, 5, 4, 3)
    filters: int = 1536  # of its first layer; every stage halves them
    dimension: int = 1024  # of the latents

    @property
    def hop(self) -> int:
        """Samples a latent."""
        return math.prod(self.rates)

    def decoder(self) -> CausalSnakeDecoder:
        """A new decoder."""
        return CausalSnakeDecoder(self)


class SnakeBeta(nn.Module):
    """x + sin(exp(alpha) x)^2 / exp(beta) for x [B, C, T], with alpha and beta [C]."""

    def __init__(self, channels: int, inplace: bool = False):
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))
        self.inplace = inplace

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return snake(x, self.alpha.exp(), (self.beta.exp() + 1e-9).reciprocal(), self.inplace)


class Unit(Chain):
    """x + SnakeBeta, dilated convolution, SnakeBeta, 1x1 convolution. Without gradients it may write over x."""

    def __init__(self, width: int, dilation: int):
        dilated = CausalConv1d(width, width, KERNEL, dilation=dilation)
        super().__init__(SnakeBeta(width), dilated, SnakeBeta(width, inplace=True), CausalConv1d(width, width, 1))

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        *layers, mix = self.layers
        assert isinstance(mix, CausalConv1d)
        return mix.valid(through(layers, x, memory), onto=x)


class CausalSnakeDecoder(Chain):
    """Latents [B, D, n] -> wav [B, 1, n * hop]. On a CPU each stage takes pieces that stay in the cache."""

    def __init__(self, shape: CausalSnake):
        width = shape.filters
        parts: list[tuple[int, nn.Module]] = [(samples(width), CausalConv1d(shape.dimension, width, KERNEL))]
        for rate in shape.rates:
            up = CausalConvTranspose1d(width, width // 2, 2 * rate, rate)
            units = (Unit(width // 2, dilation) for dilation in DILATIONS)
            parts.append((max(1, samples(width // 2) // rate), Chain(SnakeBeta(width), up, *units)))
            width //= 2
        parts.append((samples(width), Chain(SnakeBeta(width), CausalConv1d(width, 1, KERNEL))))
        super().__init__(*(part for _, part in parts))
        self.sizes = [size for size, _ in parts]

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        for part, size in zip(self.layers, self.sizes, strict=True):
            x = in_pieces(part, x, size, memory)
        return x
