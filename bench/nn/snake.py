"""Snake-activated convolutional encoder and decoder (Kumar et al. 2023, arxiv.org/abs/2306.06546), not causal.

wav [B, 1, T] with T a multiple of the hop <-> latents [B, D, T / hop]. Every stage of the encoder doubles its filters, every stage of
the decoder halves them. Snake is x + sin(a x)^2 / a with a learnt a for each channel (Ziyin et al. 2020, arxiv.org/abs/2006.08195).

Without gradients and on a CPU the layers work through a signal tile by tile, so that what one step writes the next one finds in the
cache: the same sums in another order, a quarter faster at the waveform's end, and with memory for one tile between the steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DILATIONS = (1, 3, 9)  # of the residual units of a stage
KERNEL = 7
CACHED = 400_000  # floats of a tile: a core's second-level cache holds two or three of them


def tiled(x: Tensor) -> bool:
    """Whether to work through x [B, C, T] tile by tile."""
    return not torch.is_grad_enabled() and x.device.type == "cpu" and not torch.compiler.is_compiling()


def tiles(length: int, width: int, least: int = 64) -> list[tuple[int, int]]:
    """Bounds [start, end) of pieces of a signal of that length: about CACHED floats at `width` floats a sample, but `least` samples."""
    step = max(CACHED // width, least)
    return [(start, min(start + step, length)) for start in range(0, length, step)]


@dataclass(frozen=True)
class SnakeNet:
    """Both halves as data: `rates` are the encoder's strides from the waveform to the latents, the decoder has them reversed."""

    rates: tuple[int, ...] = (2, 4, 8, 8)
    filters: int = 64  # of the encoder's first layer
    dimension: int = 1024  # of the latents
    decoder_filters: int = 1536  # of the decoder's first layer

    @property
    def hop(self) -> int:
        """Samples a latent frame."""
        return math.prod(self.rates)

    def encoder(self) -> nn.Sequential:
        """A new encoder: [B, 1, n * hop] -> [B, dimension, n]."""
        layers: list[nn.Module] = [nn.Conv1d(1, self.filters, KERNEL, padding=KERNEL // 2)]
        width = self.filters
        for rate in self.rates:
            down = nn.Conv1d(width, 2 * width, 2 * rate, rate, padding=math.ceil(rate / 2))
            layers.append(nn.Sequential(*(ResidualUnit(width, dilation) for dilation in DILATIONS), Snake(width), down))
            width *= 2
        return nn.Sequential(*layers, Snake(width), nn.Conv1d(width, self.dimension, 3, padding=1))

    def decoder(self) -> nn.Sequential:
        """A new decoder: [B, dimension, n] -> [B, 1, n * hop], short of a few samples at the end for each odd rate."""
        layers: list[nn.Module] = [nn.Conv1d(self.dimension, self.decoder_filters, KERNEL, padding=KERNEL // 2)]
        width = self.decoder_filters
        for rate in reversed(self.rates):
            units = (ResidualUnit(width // 2, dilation) for dilation in DILATIONS)
            layers.append(nn.Sequential(Snake(width), Upsample(width, width // 2, rate), *units))
            width //= 2
        return nn.Sequential(*layers, Snake(width), nn.Conv1d(width, 1, KERNEL, padding=KERNEL // 2), nn.Tanh())


class Snake(nn.Module):
    """x + sin(alpha x)^2 / alpha for x [B, C, T], with alpha [C]; without gradients in place where nobody else reads x."""

    def __init__(self, channels: int, inplace: bool = False):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.alpha[:, None]
        scale = (alpha + 1e-9).reciprocal()
        if torch.is_grad_enabled():
            return x + scale * (alpha * x).sin().square()
        if not tiled(x):
            return torch.addcmul(x, (alpha * x).sin_().square_(), scale)
        y = x if self.inplace else torch.empty_like(x)
        for start, end in tiles(x.shape[-1], x.shape[0] * x.shape[1]):
            piece = x[..., start:end]
            torch.addcmul(piece, (alpha * piece).sin_().square_(), scale, out=y[..., start:end])
        return y


class ResidualUnit(nn.Sequential):
    """Snake, dilated convolution, Snake, 1x1 convolution, and the input on top: [B, C, T] -> the same."""

    def __init__(self, width: int, dilation: int):
        super().__init__(
            Snake(width),
            nn.Conv1d(width, width, KERNEL, dilation=dilation, padding=KERNEL // 2 * dilation),
            Snake(width, inplace=True),
            nn.Conv1d(width, width, 1),
        )
        self.dilation = dilation

    def forward(self, input: Tensor) -> Tensor:
        if not tiled(input):
            return input + super().forward(input)
        length, reach, y = input.shape[-1], KERNEL // 2 * self.dilation, torch.empty_like(input)
        first, dilated, second, mix = self
        assert isinstance(dilated, nn.Conv1d)
        for start, end in tiles(length, input.shape[0] * input.shape[1], 5 * input.shape[1]):  # or the weights are read too often
            seen = first(input[..., max(start - reach, 0) : end + reach])
            if start < reach or end + reach > length:
                seen = F.pad(seen, (max(reach - start, 0), max(end + reach - length, 0)))
            piece = F.conv1d(seen, dilated.weight, dilated.bias, dilation=self.dilation)
            torch.add(input[..., start:end], mix(second(piece)), out=y[..., start:end])
        return y


class Upsample(nn.ConvTranspose1d):
    """Transposed convolution of two strides' length: [B, in, T] -> [B, out, T * stride], one sample less where the stride is odd."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        # the released weights' decoder has no output_padding, so an odd stride costs a sample at the end
        super().__init__(inputs, outputs, 2 * stride, stride, padding=math.ceil(stride / 2))

    def forward(self, input: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not tiled(input):
            return super().forward(input)
        length, stride, cut = input.shape[-1], self.stride[0], math.ceil(self.stride[0] / 2)
        y = input.new_empty(len(input), self.out_channels, (length + 1) * stride - 2 * cut)
        for start, end in tiles(length, 4 * input.shape[0] * input.shape[1], input.shape[1] * stride // 2):
            # frame n writes to 2 strides from n * stride on: those of [start, end) are complete with the frame before them
            before = min(start, 1)
            piece = F.conv_transpose1d(input[..., start - before : end], self.weight, self.bias, stride)[..., before * stride :]
            low, high = start * stride, (end + (end == length)) * stride
            low, high, shift = max(low, cut), min(high, y.shape[-1] + cut), low
            y[..., low - cut : high - cut] = piece[..., low - shift : high - shift]
        return y
