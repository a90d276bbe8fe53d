"""NanoCodec's networks (Casanova et al. 2025, arxiv.org/abs/2508.05835): an encoder that mirrors HiFi-GAN, and HiFi-GAN in a causal form.

wav [B, 1, n * hop] <-> latents [B, D, n]. The encoder hears the future, with its first and last sample repeated at the ends; the decoder
does not, and gives the same audio piece by piece. At every rate residual blocks of several kernels hear the same signal, and their mean
goes on. The decoder's activation is a Snake on the first half of the channels and a leaky rectifier on the others; its transposed
convolutions make a channel of two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import CausalConv1d, Memory
from bench.nn.flow import samples
from bench.nn.onednn import Order, convolved, for_onednn, joined, ordered, sine_
from bench.nn.seanet import through
from bench.nn.stream import in_pieces

SLOPE = 0.01  # of the leaky rectifier
EPSILON = 1e-9
KERNEL = 7  # of both first convolutions, and the encoder's last
LAST_KERNEL = 3  # of the decoder
PIECES = 8  # times as many samples as fill a core's cache: shorter ones cost more by their ends than they save


@dataclass(frozen=True)
class HalfSnakeGan:
    """Both halves as data: `rates` are the decoder's, from the latents to the waveform; the encoder has them reversed."""

    rates: tuple[int, ...] = (7, 7, 6, 3, 2)
    dimension: int = 16  # of the latents
    encoder_width: int = 24  # of the first layer; every stage doubles it
    decoder_width: int = 864  # of the first layer; every stage halves it
    kernels: tuple[int, ...] = (3, 7, 11)  # of the residual blocks
    dilations: tuple[int, ...] = (1, 3, 5)

    @property
    def hop(self) -> int:
        """Samples a latent frame."""
        return math.prod(self.rates)


class Repeated(nn.Conv1d):
    """Convolution between repetitions of the first and the last sample: [B, in, T] -> [B, out, T / stride]."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1):
        super().__init__(inputs, outputs, kernel, stride, dilation=dilation)
        self.margin, self.order = ((kernel - 1) * dilation + 2 - stride) // 2, Order()

    def forward(self, input: Tensor, onto: Tensor | None = None) -> Tensor:
        """The convolution, added to `onto`, which may be overwritten."""
        stride, dilation = self.stride[0], self.dilation[0]
        if not self.order.serves(input):
            y = super().forward(F.pad(input, (self.margin, self.margin), mode="replicate"))
            return y if onto is None else onto + y
        ends = (end.expand(-1, -1, self.margin) for end in (input[..., :1], input[..., -1:]))
        weight = self.order.of(self.weight, partial(ordered, stride=stride, dilation=dilation))
        return convolved(joined([next(ends), input, next(ends)]), weight, self.bias, stride, dilation, onto)


class Heard(nn.Module):
    """x + rectifier, dilated convolution, rectifier, convolution. [B, C, T] -> the same; without gradients over x unless x is `kept`."""

    def __init__(self, width: int, kernel: int, dilation: int, kept: bool):
        super().__init__()
        self.kept = kept
        self.first, self.second = Repeated(width, width, kernel, dilation=dilation), Repeated(width, width, kernel)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        y = F.leaky_relu(self.first(F.leaky_relu(x, SLOPE)), SLOPE, inplace=True)
        return x + self.second(y) if self.kept else self.second(y, onto=x)


class Mean(nn.Module):
    """The mean of what the units of each kernel, one after the other, make of x [B, C, T]."""

    def __init__(self, shape: HalfSnakeGan, unit: Callable[[int, int, int, bool], nn.Module], width: int):
        super().__init__()
        self.blocks = nn.ModuleList()
        for kernel in shape.kernels:  # the first unit of each hears what the others hear, too
            self.blocks.append(nn.ModuleList(unit(width, kernel, step, i == 0) for i, step in enumerate(shape.dilations)))

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        total: Tensor | None = None
        for block in self.blocks:
            assert isinstance(block, nn.ModuleList)
            y = through(block, x, memory)
            total = y if total is None else total + y
        assert total is not None
        return total / len(self.blocks)


class Encoder(nn.Module):
    """wav [B, 1, n * hop] -> latents [B, D, n]."""

    def __init__(self, shape: HalfSnakeGan):
        super().__init__()
        width = shape.encoder_width
        self.first = Repeated(1, width, KERNEL)
        self.means, self.changes = nn.ModuleList(), nn.ModuleList()
        for rate in reversed(shape.rates):
            self.means.append(Mean(shape, Heard, width))
            self.changes.append(Repeated(width, 2 * width, 2 * rate, rate))
            width *= 2
        self.last = Repeated(width, shape.dimension, KERNEL)

    def forward(self, wav: Tensor) -> Tensor:
        x = self.first(wav)
        for mean, change in zip(self.means, self.changes, strict=True):
            x = change(F.leaky_relu(mean(x), SLOPE, inplace=True))
        return self.last(F.leaky_relu(x, SLOPE, inplace=True))


class HalfSnake(nn.Module):
    """x + sin(alpha x)^2 / alpha with alpha [C // 2] for the first C // 2 channels of x [B, C, T]; the others through a leaky rectifier."""

    def __init__(self, channels: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels // 2))

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        half, height = len(self.alpha), (self.alpha + EPSILON).reciprocal()
        if not for_onednn(x):
            waves = torch.addcmul(x[:, :half], (self.alpha[:, None] * x[:, :half]).sin().square(), height[:, None])
            return torch.cat([waves, F.leaky_relu(x[:, half:], SLOPE)], dim=1)
        rows = x.transpose(1, 2)
        result = F.leaky_relu(rows, SLOPE)
        sine = sine_(rows[..., :half] * self.alpha)
        result[..., :half] = torch.addcmul(rows[..., :half], sine.square_(), height)
        return result.transpose(1, 2)


class Unit(nn.Module):
    """x + HalfSnake, dilated convolution, HalfSnake, convolution, all causal; else as `Heard`."""

    def __init__(self, width: int, kernel: int, dilation: int, kept: bool):
        super().__init__()
        self.kept = kept
        self.outer, self.first = HalfSnake(width), CausalConv1d(width, width, kernel, dilation=dilation)
        self.inner, self.second = HalfSnake(width), CausalConv1d(width, width, kernel)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        y = self.inner(self.first(self.outer(x), memory))
        return x + self.second(y, memory) if self.kept else self.second(y, memory, onto=x)


class PairUp(nn.Module):
    """Transposed convolution of two strides' length, in groups of two channels that make one: [B, 2 C, T] -> [B, C, T * rate], causal."""

    def __init__(self, channels: int, rate: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(2 * channels, 1, 2 * rate)), nn.Parameter(torch.empty(channels))
        self.rate = rate

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        kept = memory.get(self) if memory is not None else None
        before = kept[0] if kept is not None else x.new_zeros(1, 1, 1).expand(len(x), x.shape[1], 1)
        if memory is not None:
            memory[self] = (x[..., -1:].clone(),)
        rows = joined([before, x]).transpose(1, 2).unflatten(2, (-1, 2))  # [B, T + 1, C, 2]
        taps = self.weight.unflatten(0, (-1, 2)).unflatten(3, (2, self.rate))[:, :, 0].permute(2, 1, 3, 0)  # [2, 2, rate, C]
        now, past = rows[:, 1:, None], rows[:, :-1, None]  # [B, T, 1, C, 2]
        y = torch.addcmul(self.bias, now[..., 0], taps[0, 0])
        for value, weight in ((now[..., 1], taps[0, 1]), (past[..., 0], taps[1, 0]), (past[..., 1], taps[1, 1])):
            y = torch.addcmul(y, value, weight)
        return y.flatten(1, 2).transpose(1, 2)


class Stage(nn.Module):
    """A change of rate and the blocks behind it: [B, 2 C, T] -> [B, C, T * rate]."""

    def __init__(self, shape: HalfSnakeGan, width: int, rate: int):
        super().__init__()
        self.activation, self.change, self.mean = HalfSnake(2 * width), PairUp(width, rate), Mean(shape, Unit, width)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return self.mean(self.change(self.activation(x), memory), memory)


class End(nn.Module):
    """Activation and convolution to the waveform: [B, C, T] -> [B, 1, T]."""

    def __init__(self, width: int):
        super().__init__()
        self.activation, self.last = HalfSnake(width), CausalConv1d(width, 1, LAST_KERNEL)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return self.last(self.activation(x), memory)


class Decoder(nn.Module):
    """Latents [B, D, n] -> wav [B, 1, n * hop]. On a CPU each stage takes pieces that stay in the cache."""

    def __init__(self, shape: HalfSnakeGan):
        super().__init__()
        width = shape.decoder_width
        self.first, self.stages = CausalConv1d(shape.dimension, width, KERNEL), nn.ModuleList()
        self.sizes = [PIECES * samples(width)]
        for rate in shape.rates:
            width //= 2
            self.stages.append(Stage(shape, width, rate))
            self.sizes.append(max(1, PIECES * samples(width) // rate))
        self.end = End(width)
        self.sizes.append(PIECES * samples(width))

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return self.unbounded(x, memory).clamp(-1, 1)

    def unbounded(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        """The same before its samples are kept within full scale."""
        for part, size in zip((self.first, *self.stages, self.end), self.sizes, strict=True):
            x = in_pieces(part, x, size, memory)
        return x
