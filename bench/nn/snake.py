"""Snake-activated convolutional encoder and decoder (Kumar et al. 2023, arxiv.org/abs/2306.06546), not causal.

wav [B, 1, T] with T a multiple of the hop <-> latents [B, D, T / hop]. Every stage of the encoder doubles its filters, every stage of
the decoder halves them. Snake is x + sin(a x)^2 / a with a learnt a for each channel (Ziyin et al. 2020, arxiv.org/abs/2006.08195).
On a CPU a signal flows through in pieces (bench/nn/flow.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from bench.nn.flow import WHOLE, Flow, Layers, Stages, samples
from bench.nn.onednn import Order, convolved, for_onednn, joined, ordered, sine_, spread, spreading
from bench.nn.reflect import SkipLSTM

DILATIONS = (1, 3, 9)  # of the residual units of a stage
KERNEL = 7


def snake(x: Tensor, speed: Tensor, height: Tensor, inplace: bool = False) -> Tensor:
    """x + height * sin(speed * x)^2 for x [B, C, T], with speed and height [C]; `inplace`: over x where no gradient needs it."""
    if not for_onednn(x):
        return torch.addcmul(x, (speed[:, None] * x).sin().square(), height[:, None])
    rows = x.transpose(1, 2)
    sine = sine_(rows * speed)
    return torch.addcmul(rows, sine.square_(), height, out=rows if inplace else sine).transpose(1, 2)


class Snake(nn.Module):
    """x + sin(alpha x)^2 / alpha for x [B, C, T], with alpha [C]; `inplace`: it may write over x where no gradient needs it."""

    def __init__(self, channels: int, inplace: bool = False):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))
        self.inplace = inplace

    def forward(self, x: Tensor, flow: Flow | None = None) -> Tensor:
        return snake(x, self.alpha, (self.alpha + 1e-9).reciprocal(), self.inplace)


class Activation(Protocol):
    """Makes the activation of so many channels; `inplace`: it may write over its input where no gradient needs it."""

    def __call__(self, channels: int, inplace: bool = False) -> nn.Module: ...


@dataclass(frozen=True)
class SnakeNet:
    """Both halves as data: `rates` are the encoder's strides from the waveform to the latents, the decoder has them reversed."""

    rates: tuple[int, ...] = (2, 4, 8, 8)
    filters: int = 64  # of the encoder's first layer
    dimension: int = 1024  # of the latents
    decoder_filters: int = 1536  # of the decoder's first layer
    complete: bool = False  # the decoder loses no sample where a rate is odd
    longer: bool = False  # nor here: its kernel has a tap more
    tanh: bool = True  # the decoder ends in a hyperbolic tangent
    activation: Activation = Snake
    lstm: int = 0  # layers of a recurrent network after the encoder's last stage and before the decoder's first

    @property
    def hop(self) -> int:
        """Samples a latent frame."""
        return math.prod(self.rates)

    def encoder(self) -> Stages:
        """A new encoder: [B, 1, n * hop] -> [B, dimension, n]."""
        width = self.filters
        stages: list[tuple[int, nn.Module]] = [(samples(width), Conv(1, width, KERNEL, padding=KERNEL // 2))]
        for rate in self.rates:
            down = Conv(width, 2 * width, 2 * rate, rate, padding=math.ceil(rate / 2))
            stages.append((samples(width), Layers(*self._units(width), self.activation(width), down)))
            width *= 2
        ends = (samples(width), self.activation(width)), (samples(width), Conv(width, self.dimension, 3, padding=1))
        return Stages(*stages, *self._recurrence(width), *ends)

    def decoder(self) -> Stages:
        """A new decoder: [B, dimension, n] -> [B, 1, n * hop], short of a few samples at the end for each odd rate."""
        width = self.decoder_filters
        stages: list[tuple[int, nn.Module]] = [(samples(width), Conv(self.dimension, width, KERNEL, padding=KERNEL // 2))]
        stages += self._recurrence(width)
        for rate in reversed(self.rates):
            up = Upsample(width, width // 2, rate, self.complete, self.longer)
            stages.append((samples(width // 2) // rate, Layers(self.activation(width), up, *self._units(width // 2))))
            width //= 2
        size = samples(width)
        ends: list[nn.Module] = [self.activation(width), Conv(width, 1, KERNEL, padding=KERNEL // 2)]
        return Stages(*stages, *((size, part) for part in [*ends, *([Tanh()] if self.tanh else [])]))

    def _units(self, width: int) -> Iterator[ResidualUnit]:
        return (ResidualUnit(width, dilation, activation=self.activation) for dilation in DILATIONS)

    def _recurrence(self, width: int) -> list[tuple[int, nn.Module]]:
        return [(WHOLE, Recurrence(width, self.lstm))] if self.lstm else []


class Recurrence(SkipLSTM):
    """x + LSTM(x) along time: it takes the whole signal at once."""

    def forward(self, input: Tensor, flow: Flow | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().forward(input)


class Tanh(nn.Tanh):
    """Hyperbolic tangent."""

    def forward(self, input: Tensor, flow: Flow | None = None) -> Tensor:
        return super().forward(input)


class Conv(nn.Conv1d):
    """Convolution with zeros on both sides: [B, in, T] -> [B, out, (T + 2 padding - reach) / stride]."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1, padding: int = 0, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, padding, dilation, groups)
        self.order, self.window = Order(), (kernel - 1) * dilation + 1

    def forward(self, input: Tensor, flow: Flow | None = None, onto: Tensor | None = None) -> Tensor:
        """The next outputs, as many as what has come suffices for, added to `onto`."""
        if not self.order.serves(input):
            y = super().forward(input)
            return y if onto is None else onto + y
        flow, stride, dilation = flow or Flow(), self.stride[0], self.dilation[0]
        x = flow.after(self, input, int(self.padding[0]))
        count = max(0, (x.shape[-1] - self.window) // stride + 1)
        flow.keep(self, x[..., count * stride :])
        if not count:
            return x.new_empty(len(x), self.out_channels, 0)  # too few samples for a window yet
        weight = self.order.of(self.weight, partial(ordered, stride=stride, dilation=dilation, groups=self.groups))
        return convolved(x, weight, self.bias, stride, dilation, onto, groups=self.groups)


class ResidualUnit(Layers):
    """Activation, dilated convolution, in `groups`, activation, 1x1 convolution, and the input on top: [B, C, T] -> the same."""

    def __init__(self, width: int, dilation: int, groups: int = 1, activation: Activation = Snake):
        super().__init__(
            activation(width),
            Conv(width, width, KERNEL, dilation=dilation, padding=KERNEL // 2 * dilation, groups=groups),
            activation(width, inplace=True),
            Conv(width, width, 1),
        )

    def forward(self, input: Tensor, flow: Flow | None = None) -> Tensor:
        first, dilated, second, mix = self
        y = second(dilated(first(input, flow), flow), flow)
        if not for_onednn(input):
            return mix(y, onto=input)
        flow = flow or Flow()
        kept = flow.kept.pop(self, None)
        x = input if kept is None else joined([kept, input])
        flow.keep(self, x[..., y.shape[-1] :])
        return mix(y, onto=x[..., : y.shape[-1]])


class Upsample(nn.ConvTranspose1d):
    """Transposed convolution of two strides' length: [B, in, T] -> [B, out, T * stride].

    An odd stride costs a sample at the end (DAC's released weights have it so), unless the layer is told to be `complete`, or `longer`: its
    kernel then has a tap more.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, complete: bool = False, longer: bool = False):
        odd, half = stride % 2, math.ceil(stride / 2)
        extra = odd if complete and not longer else 0
        super().__init__(inputs, outputs, 2 * stride + odd * longer, stride, padding=half, output_padding=extra)
        self.order = Order()
        self.margin = (self.kernel_size[0] - 1) // stride  # frames besides its own that an output hears
        self.cut = self.margin * stride - half + odd * (not complete and not longer)

    def forward(self, input: Tensor, flow: Flow | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not self.order.serves(input):
            return super().forward(input)
        flow, stride = flow or Flow(), self.stride[0]
        first = self not in flow.kept
        x = flow.after(self, input, self.margin)
        flow.keep(self, x[..., -self.margin :])
        y = spread(x, self.order.of(self.weight, partial(spreading, stride=stride)), self.bias, stride)
        return y[..., int(self.padding[0]) * first : y.shape[-1] - self.cut * flow.last]
