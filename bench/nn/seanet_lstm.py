"""SEANet with an LSTM between its convolutions and its latents, as EnCodec has it (Défossez et al. 2022, arxiv.org/abs/2210.13438).

wav [B, C, T] -> latents [B, D, ceil(T / hop)] -> wav [B, C, frames * hop]. The causal form takes pieces of a stream; the other one is
centred, and perhaps normed over time: it sees the whole of what it is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from bench.nn.conv import CausalConvTranspose1d, Memory
from bench.nn.reflect import CentredConv1d, CentredConvTranspose1d, ReflectConv1d, SkipLSTM
from bench.nn.seanet import ELU, Chain


@dataclass(frozen=True)
class SEANetLSTM:
    """Both halves as data: `ratios` are the decoder's strides from the latents to the waveform, the encoder has them reversed."""

    filters: int = 32
    dimension: int = 128
    ratios: tuple[int, ...] = (8, 5, 4, 2)
    channels: int = 1
    causal: bool = True  # False: centred convolutions
    normed: bool = True  # each centred convolution is followed by a norm
    kernel: int = 7
    residual_kernel: int = 3
    compress: int = 2
    lstm_layers: int = 2

    @property
    def hop(self) -> int:
        """Samples a latent frame."""
        return math.prod(self.ratios)

    @property
    def mirrored(self) -> int:
        """Frames that must be known before the first one: the reflection at the latents is the longest."""
        return self.kernel

    def conv(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
        """A convolution of this form."""
        if self.causal:
            return ReflectConv1d(inputs, outputs, kernel, stride)
        return CentredConv1d(inputs, outputs, kernel, stride, normed=self.normed)

    def transposed(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        """A transposed convolution of this form."""
        if self.causal:
            return CausalConvTranspose1d(inputs, outputs, 2 * stride, stride)
        return CentredConvTranspose1d(inputs, outputs, 2 * stride, stride, normed=self.normed)

    def encoder(self) -> Chain:
        """A new encoder."""
        width = self.filters
        layers: list[nn.Module] = [self.conv(self.channels, width, self.kernel)]
        for ratio in reversed(self.ratios):
            layers += [Residual(self, width), ELU(inplace=True), self.conv(width, 2 * width, 2 * ratio, ratio)]
            width *= 2
        layers += [SkipLSTM(width, self.lstm_layers), ELU(inplace=True), self.conv(width, self.dimension, self.kernel)]
        return Chain(*layers)

    def decoder(self) -> Chain:
        """A new decoder."""
        width = self.filters * 2 ** len(self.ratios)
        layers: list[nn.Module] = [self.conv(self.dimension, width, self.kernel), SkipLSTM(width, self.lstm_layers)]
        for ratio in self.ratios:
            layers += [ELU(inplace=True), self.transposed(width, width // 2, ratio), Residual(self, width // 2)]
            width //= 2
        layers += [ELU(inplace=True), self.conv(width, self.channels, self.kernel)]
        return Chain(*layers)


class Residual(Chain):
    """A 1x1 convolution of x + (ELU, convolution to fewer channels, ELU, 1x1 convolution back)."""

    def __init__(self, shape: SEANetLSTM, width: int):
        hidden = width // shape.compress
        super().__init__(
            ELU(inplace=False), shape.conv(width, hidden, shape.residual_kernel), ELU(inplace=True), shape.conv(hidden, width, 1)
        )
        self.shortcut = shape.conv(width, width, 1)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return self.shortcut(x, memory).add_(super().forward(x, memory))
