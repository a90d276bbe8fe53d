"""Layers that compute in 8-bit integers, emulated in float32 on any device: their outputs are those of XNNPACK's kernels, bit for bit.

A quantized tensor is scale x (q - zero) with q in -128..127; between layers a signal has its real values. A layer turns them into the
integers q - zero, sums products of integers (exact in float32 below 2^24), and rounds the sum to its output's scale by the rules of XNNPACK
(github.com/google/XNNPACK, src/microparams-init.c), the library that runs TensorFlow Lite models on a CPU: nearest, ties to even, after a
convolution; 8 fraction bits in a leaky ReLU; 20 in an addition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import CausalConv1d, Memory


@dataclass(frozen=True)
class Grid:
    """The values that an int8 tensor can have: scale x (q - zero)."""

    scale: float
    zero: int

    def steps(self, x: Tensor) -> Tensor:
        """Real values of any shape -> the integers q - zero nearest to them."""
        return (x * (1 / torch.tensor(self.scale)).item()).round_().clamp_(-128 - self.zero, 127 - self.zero)

    def values(self, steps: Tensor) -> Tensor:
        """Whole numbers, which may lie outside -> real values on the grid."""
        return steps.clamp(-128 - self.zero, 127 - self.zero) * self.scale


class Int8Conv1d(CausalConv1d):
    """A causal convolution of integers: weight [out, in / groups, kernel], bias [out]; weight_scale [out] or [1]: the value of a step."""

    multiplier: Tensor

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        weight_scale: Tensor,
        before: Grid,
        after: Grid,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ):
        outputs, inputs, kernel = weight.shape
        super().__init__(inputs * groups, outputs, kernel, stride, dilation, groups)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.register_buffer("multiplier", before.scale * weight_scale / after.scale)
        self.before, self.after = before, after

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        total = super().forward(self.before.steps(input), memory).round()  # a fast algorithm of a library may leave integers by an ulp
        return self.after.values((total * self.multiplier[:, None]).round_())


class Int8ConvTranspose1d(nn.Module):
    """A transposed convolution of frames of `steps` positions: [B, in, T] -> [B, out, T * stride]; T is a multiple of `steps`.

    What a frame gives is rounded, then frames overlap as floats. weight [in, out, kernel] and bias [out] are integers; `known` [out] is the
    float32 bias, taken off where two frames overlap, since both hold it.
    """

    multiplier: Tensor

    def __init__(
        self, weight: Tensor, bias: Tensor, weight_scale: Tensor, known: Tensor, before: Grid, after: Grid, stride: int, steps: int
    ):
        super().__init__()
        self.weight, self.bias, self.known = nn.Parameter(weight), nn.Parameter(bias), nn.Parameter(known)
        self.register_buffer("multiplier", before.scale * weight_scale / after.scale)
        self.before, self.after = before, after
        self.stride, self.steps, self.overlap = stride, steps, weight.shape[-1] - stride

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        frames = self.before.steps(x).unflatten(-1, (-1, self.steps)).transpose(1, 2)  # [B, F, in, steps]
        total = F.conv_transpose1d(frames.flatten(0, 1), self.weight, self.bias, self.stride).round()
        y = self.after.values((total * self.multiplier[:, None]).round_()).unflatten(0, frames.shape[:2])
        whole, tail = y.split([self.steps * self.stride, self.overlap], dim=-1)
        tail = tail - self.known[:, None]
        kept = memory.get(self) if memory is not None else None
        before = kept[0] if kept is not None else torch.zeros_like(tail[:, :1])
        if memory is not None:
            memory[self] = (tail[:, -1:].clone(),)
        carried = F.pad(torch.cat([before, tail[:, :-1]], dim=1), (0, whole.shape[-1] - self.overlap))
        return (whole + carried).transpose(1, 2).flatten(2)


class Int8LeakyReLU(nn.Module):
    """x -> x where it is positive, slope * x elsewhere; both factors have 8 fraction bits."""

    def __init__(self, slope: float, before: Grid, after: Grid):
        super().__init__()
        self.before, self.after = before, after
        ratio = before.scale / after.scale
        self.positive, self.negative = round(256 * ratio), round(256 * ratio * slope)

    def forward(self, x: Tensor) -> Tensor:
        steps = self.before.steps(x)
        total = steps * torch.where(steps >= 0, self.positive, self.negative)
        return self.after.values(torch.floor((total + 128) / 256))


class Int8Add(nn.Module):
    """a + b, both on grids of their own; the larger of the two factors has 21 significant bits."""

    def __init__(self, a: Grid, b: Grid, after: Grid):
        super().__init__()
        self.a, self.b, self.after = a, b, after
        self.shift = 20 - (math.frexp(max(a.scale, b.scale) / after.scale)[1] - 1)
        self.factors = [round(grid.scale / after.scale * 2**self.shift) for grid in (a, b)]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        total = self.a.steps(a).double() * self.factors[0] + self.b.steps(b).double() * self.factors[1]
        return self.after.values(torch.floor(total / 2**self.shift + 0.5).float())
