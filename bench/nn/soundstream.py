"""SoundStream networks (Zeghidour et al. 2021, arxiv.org/abs/2107.03312) as Lyra V2 has them, built from a list of their layers.

Lyra's files hold a layer as arrays, some float32 and some 8-bit integers with scales; `Tape` turns them into modules in the order of their
use. The encoder is causal: wav [B, 1, n * hop] -> latents [B, D, n]; the decoder goes back. `drawn` gives random layers for tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from bench.nn.conv import CausalConv1d, CausalConvTranspose1d, Memory
from bench.nn.int8 import Grid, Int8Add, Int8Conv1d, Int8ConvTranspose1d, Int8LeakyReLU

SLOPE = 0.3  # of every leaky ReLU
DILATIONS = (1, 3, 9)


@dataclass(frozen=True)
class Layer:
    """One layer, in torch's order. With grids its weight and bias are integers, and weight_scale is what a step is worth."""

    kind: str  # conv, depthwise, transposed, leaky_relu, add, or subtract: the float32 bias of the transposed one before it
    weight: Tensor = field(default_factory=lambda: torch.zeros(0))
    bias: Tensor = field(default_factory=lambda: torch.zeros(0))
    weight_scale: Tensor = field(default_factory=lambda: torch.ones(1))
    before: tuple[Grid | None, ...] = (None,)  # of each computed input; None: float32
    after: Grid | None = None


@dataclass(frozen=True)
class Shape:
    """Channels and strides of the encoder, whose first convolution has four strides and all others two; the decoder mirrors them."""

    channels: tuple[int, ...] = (64, 128, 256, 512)
    strides: tuple[int, ...] = (16, 5, 2, 2)
    dimension: int = 64
    group: int = 64  # channels of a group in the convolutions after the second width


class Tape:
    """The layers of a network in the order of their use."""

    def __init__(self, layers: Iterator[Layer]):
        self.layers = layers

    def take(self, *kinds: str) -> Layer:
        """The next layer, which must be of one of the kinds."""
        layer = next(self.layers, None)
        if layer is None or layer.kind not in kinds:
            raise ValueError(f"a layer of kind {' or '.join(kinds)} is missing")
        return layer

    def conv(self, stride: int = 1, dilation: int = 1, inputs: int = 0) -> CausalConv1d:
        """The next convolution of `inputs` channels (0: as many as its weight has, in one group)."""
        layer = self.take("depthwise", "conv")
        outputs, width, kernel = layer.weight.shape
        groups = inputs // width if inputs else 1
        if layer.before[0] and layer.after:
            return Int8Conv1d(layer.weight, layer.bias, layer.weight_scale, layer.before[0], layer.after, stride, dilation, groups)
        return filled(CausalConv1d(width * groups, outputs, kernel, stride, dilation, groups), layer)

    def act(self) -> nn.Module:
        """The next leaky ReLU."""
        layer = self.take("leaky_relu")
        both = layer.before[0], layer.after
        return Int8LeakyReLU(SLOPE, both[0], both[1]) if both[0] and both[1] else nn.LeakyReLU(SLOPE)

    def add(self) -> nn.Module:
        """The next sum of two signals."""
        layer = self.take("add")
        a, b = layer.before
        return Int8Add(a, b, layer.after) if a and b and layer.after else Add()

    def spread(self, stride: int, steps: int) -> nn.Module:
        """The next transposed convolution, whose frames of `steps` positions overlap."""
        layer = self.take("transposed")
        self.take("add")
        known = self.take("subtract").bias
        if layer.before[0] and layer.after:
            return Int8ConvTranspose1d(layer.weight, layer.bias, layer.weight_scale, known, layer.before[0], layer.after, stride, steps)
        inputs, outputs, kernel = layer.weight.shape
        return filled(CausalConvTranspose1d(inputs, outputs, kernel, stride), layer)


Convolution = TypeVar("Convolution", CausalConv1d, CausalConvTranspose1d)


def filled(convolution: Convolution, layer: Layer) -> Convolution:
    """The convolution with the layer's weight and bias."""
    convolution.weight, convolution.bias = nn.Parameter(layer.weight), nn.Parameter(layer.bias)
    return convolution


class Add(nn.Module):
    """a + b, in float32."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class Unit(nn.Module):
    """Leaky ReLU, depth-wise and dense convolution, leaky ReLU, grouped convolution, and the input added."""

    def __init__(self, tape: Tape, channels: int, dilation: int):
        super().__init__()
        self.act, self.depthwise = tape.act(), tape.conv(dilation=dilation, inputs=channels)
        self.pointwise, self.act_inner = tape.conv(), tape.act()
        self.out, self.add = tape.conv(inputs=channels), tape.add()

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        y = self.pointwise(self.depthwise(self.act(x), memory), memory)
        return self.add(self.out(self.act_inner(y), memory), x)


def units(tape: Tape, channels: int) -> nn.ModuleList:
    return nn.ModuleList(Unit(tape, channels, dilation) for dilation in DILATIONS)


class Encoder(nn.Module):
    """wav [B, 1, n * 320] -> latents [B, D, n]."""

    def __init__(self, tape: Tape, shape: Shape):
        super().__init__()
        self.first = tape.conv(shape.strides[0])
        self.stages, self.acts, self.downs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for channels, stride in zip(shape.channels, shape.strides[1:], strict=False):
            self.stages.append(units(tape, channels))
            self.acts.append(tape.act())
            self.downs.append(tape.conv(stride, inputs=channels))
        self.act, self.last = tape.act(), tape.conv(inputs=shape.channels[-1])

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        x = self.first(x, memory)
        for stage, act, down in zip(self.stages, self.acts, self.downs, strict=True):
            for unit in stage.children():
                x = unit(x, memory)
            x = down(act(x), memory)
        return self.last(self.act(x), memory)


class Decoder(nn.Module):
    """Latents [B, D, n] -> wav [B, 1, n * 320]."""

    def __init__(self, tape: Tape, shape: Shape):
        super().__init__()
        self.first = tape.conv(inputs=shape.dimension)
        self.acts, self.ups, self.stages = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        steps = 1  # positions of a frame
        for channels, stride in zip(shape.channels[-2::-1], shape.strides[:0:-1], strict=True):
            self.acts.append(tape.act())
            self.ups.append(nn.ModuleList(tape.spread(stride, steps) for _ in range(max(1, channels // shape.group))))
            self.stages.append(units(tape, channels))
            steps *= stride
        self.act, self.last = tape.act(), tape.spread(shape.strides[0], steps)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        x = self.first(x, memory)
        for act, ups, stage in zip(self.acts, self.ups, self.stages, strict=True):
            groups = list(ups.children())
            x = torch.cat([up(part, memory) for up, part in zip(groups, act(x).chunk(len(groups), 1), strict=True)], 1)
            for unit in stage.children():
                x = unit(x, memory)
        return self.last(self.act(x), memory)


def drawn(shape: Shape, generator: torch.Generator) -> tuple[Tape, Tape]:
    """Random layers of an encoder and a decoder; those of the lowest frame rate are integers."""
    draw = partial(_draw, generator)
    return Tape(_encoder_layers(shape, draw)), Tape(_decoder_layers(shape, draw))


def _draw(generator: torch.Generator, kind: str, shape: tuple[int, ...], outputs: int, integers: bool) -> Layer:
    """A random layer whose output is about as large as its input."""
    weight = torch.randn(shape, generator=generator)
    fan = weight.numel() / outputs
    if not integers:
        return Layer(kind, weight / fan**0.5, torch.randn(outputs, generator=generator) / 20)
    bias = (300 * torch.randn(outputs, generator=generator)).round()
    grid = Grid(0.03, int(torch.randint(-40, 40, (1,), generator=generator)))
    return Layer(kind, (40 * weight).round().clamp(-127, 127), bias, torch.tensor([1 / (40 * fan**0.5)]), (grid,), grid)


Draw = Callable[[str, tuple[int, ...], int, bool], Layer]


def _unit_layers(channels: int, group: int, draw: Draw, integers: bool) -> Iterator[Layer]:
    grid = Grid(0.03, -5) if integers else None
    yield Layer("leaky_relu", before=(grid,), after=grid)
    yield draw("depthwise", (channels, 1, 3), channels, integers)
    yield draw("conv", (channels, channels, 1), channels, integers)
    yield Layer("leaky_relu", before=(grid,), after=grid)
    yield draw("conv", (channels, min(channels, group), 1), channels, integers)
    yield Layer("add", before=(grid, grid), after=grid)


def _encoder_layers(shape: Shape, draw: Draw) -> Iterator[Layer]:
    yield draw("conv", (shape.channels[0], 1, 4 * shape.strides[0]), shape.channels[0], False)
    for channels, wider, stride in zip(shape.channels, shape.channels[1:], shape.strides[1:], strict=False):
        integers = wider == shape.channels[-1]
        for _ in DILATIONS:
            yield from _unit_layers(channels, shape.group, draw, integers)
        yield Layer("leaky_relu")
        yield draw("conv", (wider, min(channels, shape.group), 2 * stride), wider, integers)
    yield Layer("leaky_relu")
    yield draw("conv", (shape.dimension, shape.channels[-1] // 4, 3), shape.dimension, True)


def _decoder_layers(shape: Shape, draw: Draw) -> Iterator[Layer]:
    yield draw("conv", (shape.channels[-1], shape.dimension // 4, 3), shape.channels[-1], False)
    for channels, stride in zip(shape.channels[-2::-1], shape.strides[:0:-1], strict=True):
        integers = channels == shape.channels[-2]
        yield Layer("leaky_relu")
        for _ in range(max(1, channels // shape.group)):
            yield from _spread_layers((2 * shape.group, min(channels, shape.group), 2 * stride), draw, integers)
        for _ in DILATIONS:
            yield from _unit_layers(channels, shape.group, draw, integers)
    yield Layer("leaky_relu")
    yield from _spread_layers((shape.channels[0], 1, 4 * shape.strides[0]), draw, False)


def _spread_layers(weight: tuple[int, int, int], draw: Draw, integers: bool) -> Iterator[Layer]:
    layer = draw("transposed", weight, weight[1], integers)
    yield layer
    yield Layer("add", before=(None, None))
    yield Layer("subtract", bias=layer.bias * layer.weight_scale * layer.before[0].scale if layer.before[0] else layer.bias)
