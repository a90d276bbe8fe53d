"""SEANet with an LSTM between its convolutions and its latents, as EnCodec has it (Défossez et al. 2022, arxiv.org/abs/2210.13438).

wav [B, C, T] -> latents [B, D, ceil(T / hop)] -> wav [B, C, frames * hop]. The causal form takes pieces of a stream; the other one is
centred, and perhaps normed over time: it sees the whole of what it is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from bench.nn.conv import CausalConv1d, CausalConvTranspose1d, Memory
from bench.nn.reflect import CentredConv1d, CentredConvTranspose1d, ReflectConv1d, SkipLSTM
from bench.nn.seanet import ELU, Chain, through
from bench.nn.stream import in_pieces

PIECE = 50  # frames of causal layers at a time on a CPU: what one layer writes the next one finds in the cache
WHOLE = 1 << 40  # centred ones are given all that there is


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
    shortcut: bool = True  # a residual unit's input is convolved 1x1 before it is added; False: added as it is
    bidirectional: bool = False  # the encoder's LSTM hears the signal both ways, and gives twice as many channels

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
        lstm = SkipLSTM(width, self.lstm_layers, bidirectional=self.bidirectional)
        layers += [lstm, ELU(inplace=True), self.conv(width * (1 + self.bidirectional), self.dimension, self.kernel)]
        return Recurrent(*layers, before=PIECE * self.hop if self.causal else WHOLE, after=WHOLE)

    def decoder(self) -> Chain:
        """A new decoder."""
        width = self.filters * 2 ** len(self.ratios)
        layers: list[nn.Module] = [self.conv(self.dimension, width, self.kernel), SkipLSTM(width, self.lstm_layers)]
        for ratio in self.ratios:
            layers += [ELU(inplace=True), self.transposed(width, width // 2, ratio), Residual(self, width // 2)]
            width //= 2
        layers += [ELU(inplace=True), self.conv(width, self.channels, self.kernel)]
        return Recurrent(*layers, before=WHOLE, after=PIECE if self.causal else WHOLE)


def draw_biases(model: nn.Module, generator: torch.Generator) -> None:
    """Small random biases for every LSTM of a model."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if ".bias_" in name:
                value.copy_(torch.randn(value.shape, generator=generator) / 10)


class Residual(Chain):
    """x, or a 1x1 convolution of it, + (ELU, convolution to fewer channels, ELU, 1x1 convolution back)."""

    def __init__(self, shape: SEANetLSTM, width: int):
        hidden = width // shape.compress
        super().__init__(
            ELU(inplace=False), shape.conv(width, hidden, shape.residual_kernel), ELU(inplace=True), shape.conv(hidden, width, 1)
        )
        self.shortcut = shape.conv(width, width, 1) if shape.shortcut else None

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        y, last = through(self.layers[:-1], x, memory), self.layers[-1]
        onto = x if self.shortcut is None else self.shortcut(x, memory)
        return last.valid(y, onto) if isinstance(last, CausalConv1d) else onto.add(last(y, memory))


class Recurrent(Chain):
    """Causal layers around an LSTM. On a CPU the others run item by item in pieces that stay in the cache.

    The LSTM takes all at once: at every step it reads all of its weights, for one item as for many.
    """

    def __init__(self, *layers: nn.Module, before: int, after: int):
        super().__init__(*layers)
        self.before, self.after = before, after  # positions of a piece before and after the LSTM
        self.at = next(index for index, layer in enumerate(layers) if isinstance(layer, SkipLSTM))

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        x = in_pieces(partial(through, self.layers[: self.at]), x, self.before, memory)
        x = self.layers[self.at](x, memory)
        return in_pieces(partial(through, self.layers[self.at + 1 :]), x, self.after, memory)
