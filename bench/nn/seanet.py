"""SEANet, a convolutional waveform encoder and its mirror (Tagliasacchi et al. 2020, arxiv.org/abs/2009.02095), causal form.

wav [B, C, T] with T a multiple of the hop <-> latents [B, D, T / hop]. Every stage doubles or halves the number of filters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from bench.nn.conv import CausalConv1d, CausalConvTranspose1d, Memory
from bench.nn.onednn import elu


@dataclass(frozen=True)
class SEANet:
    """Both halves as data: `ratios` are the decoder's strides from the latents to the waveform, the encoder has them reversed."""

    filters: int = 64
    dimension: int = 512
    ratios: tuple[int, ...] = (8, 6, 5, 4)
    channels: int = 1
    kernel: int = 7
    last_kernel: int = 3
    residual_kernel: int = 3
    residual_layers: int = 1
    dilation_base: int = 2
    compress: int = 2

    @property
    def hop(self) -> int:
        """Samples a latent frame."""
        return math.prod(self.ratios)

    def encoder(self) -> SEANetEncoder:
        """A new encoder."""
        return SEANetEncoder(self)

    def decoder(self) -> SEANetDecoder:
        """A new decoder."""
        return SEANetDecoder(self)


class ELU(nn.Module):
    """Exponential linear unit, in place where the caller says that nobody else reads the input."""

    def __init__(self, inplace: bool):
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return elu(x, self.inplace)


class Chain(nn.Module):
    """Layers one after the other, all given the stream's memory."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return through(self.layers, x, memory)


def through(layers: Iterable[nn.Module], x: Tensor, memory: Memory | None) -> Tensor:
    """x after all the layers."""
    for layer in layers:
        x = layer(x, memory)
    return x


class Residual(Chain):
    """x + ELU, convolution to fewer channels, ELU, 1x1 convolution back. Without gradients it may write over x."""

    def __init__(self, channels: int, kernel: int, dilation: int, compress: int):
        hidden = channels // compress
        super().__init__(
            ELU(inplace=False),
            CausalConv1d(channels, hidden, kernel, dilation=dilation),
            ELU(inplace=True),
            CausalConv1d(hidden, channels, 1),
        )

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        last = self.layers[-1]
        assert isinstance(last, CausalConv1d)
        return last.valid(through(self.layers[:-1], x, memory), onto=x)


def _residuals(shape: SEANet, channels: int) -> list[nn.Module]:
    return [Residual(channels, shape.residual_kernel, shape.dilation_base**i, shape.compress) for i in range(shape.residual_layers)]


class SEANetEncoder(Chain):
    """wav [B, C, T] -> latents [B, D, T / hop]."""

    def __init__(self, shape: SEANet):
        width = shape.filters
        layers: list[nn.Module] = [CausalConv1d(shape.channels, width, shape.kernel)]
        for ratio in reversed(shape.ratios):
            layers += _residuals(shape, width)
            layers += [ELU(inplace=True), CausalConv1d(width, 2 * width, 2 * ratio, stride=ratio)]
            width *= 2
        layers += [ELU(inplace=True), CausalConv1d(width, shape.dimension, shape.last_kernel)]
        super().__init__(*layers)


class SEANetDecoder(Chain):
    """Latents [B, D, F] -> wav [B, C, F * hop]."""

    def __init__(self, shape: SEANet):
        width = shape.filters * 2 ** len(shape.ratios)
        layers: list[nn.Module] = [CausalConv1d(shape.dimension, width, shape.kernel)]
        for ratio in shape.ratios:
            layers += [ELU(inplace=True), CausalConvTranspose1d(width, width // 2, 2 * ratio, stride=ratio)]
            width //= 2
            layers += _residuals(shape, width)
        layers += [ELU(inplace=True), CausalConv1d(width, shape.channels, shape.last_kernel)]
        super().__init__(*layers)
