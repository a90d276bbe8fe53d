"""Convolutions padded by reflection, as EnCodec's, and what goes with them: an LSTM beside a skip, a stream that waits for the reflection.

Signals are [B, C, T]. A layer pads its end so that every sample is in a window: T need not be a multiple of its stride. The causal ones
take a `Memory` as those of bench.nn.conv do. Their left padding mirrors the START of the signal: the first outputs hear up to `past`
later samples, so the first piece of a stream must be longer than that. Only its last piece may break a stride.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import CausalConv1d, Memory
from bench.nn.onednn import Order, convolved, for_onednn, joined, ordered, spread, spreading

BLOCK = 4096  # values that float32 adds up without losing digits


def reflected(x: Tensor, left: int, right: int) -> Tensor:
    """x [B, C, T] with its mirror image on both sides; zeros stand for what a shorter signal lacks."""
    if left == right == 0:
        return x
    lacking = max(left, right) + 1 - x.shape[-1]
    if lacking > 0:
        # the mirror image of the zeros appended stays on the left, the zeros themselves are cut off on the right
        return reflected(F.pad(x, (0, lacking)), left, right)[..., : left + x.shape[-1] + right]
    length = x.shape[-1]
    ends = x[..., 1 : left + 1].flip(-1), x[..., length - right - 1 : length - 1].flip(-1)
    return joined([end for end in (ends[0], x, ends[1]) if end.shape[-1]])


class ReflectConv1d(CausalConv1d):
    """[B, in, T] -> [B, out, ceil(T / stride)]: no output hears later samples, but for the mirror image at the start."""

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.past == 0 and self.stride[0] == 1:
            return self.valid(input)
        kept = memory.get(self) if memory is not None else None
        x = reflected(input, self.past, 0) if kept is None else joined([kept[0], input])
        if memory is not None:
            memory[self] = (x[..., x.shape[-1] - self.past :].clone(),)  # a view would keep the whole piece alive
        extra = -input.shape[-1] % self.stride[0]
        if not extra:
            return self.valid(x)
        if kept is None:  # of one signal both ends are mirrored at once: where it is short the zeros count for both
            return self.valid(reflected(input, self.past, extra))
        return self.valid(reflected(x, 0, extra))


class CentredConv1d(nn.Conv1d):
    """Padding on both sides, then perhaps a norm over all channels and samples: [B, in, T] -> [B, out, ceil(T / stride)]."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1, normed: bool = True):
        super().__init__(inputs, outputs, kernel, stride, dilation=dilation)
        self.norm = Norm(outputs) if normed else nn.Identity()
        self.padded = (kernel - 1) * dilation + 1 - stride
        self.order = Order()

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor:
        right = self.padded // 2  # the odd sample goes to the left
        x = reflected(input, self.padded - right, right + -input.shape[-1] % self.stride[0])
        if not self.order.serves(x):
            return self.norm(super().forward(x))
        stride, dilation = self.stride[0], self.dilation[0]
        weight = self.order.of(self.weight, partial(ordered, stride=stride, dilation=dilation))
        return self.norm(convolved(x, weight, self.bias, stride, dilation))


class CentredConvTranspose1d(nn.ConvTranspose1d):
    """Transposed convolution, perhaps a norm over all that it gives, and then both ends trimmed: [B, in, T] -> [B, out, T * stride]."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, normed: bool = True):
        super().__init__(inputs, outputs, kernel, stride)
        self.norm = Norm(outputs) if normed else nn.Identity()
        self.order = Order()

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        surplus, stride = self.kernel_size[0] - self.stride[0], self.stride[0]
        if self.order.serves(input):
            zeros = input.new_zeros(1, 1, 1).expand(len(input), input.shape[1], surplus // stride)
            weight = self.order.of(self.weight, partial(spreading, stride=stride))
            y = spread(joined([zeros, input, zeros]), weight, self.bias, stride)
        else:
            y = super().forward(input)
        y = self.norm(y)  # the released weights' norm counts the samples trimmed afterwards, too
        left = surplus - surplus // 2
        return y[..., left : left + input.shape[-1] * stride]


class Norm(nn.GroupNorm):
    """A norm over all channels and samples of x [B, C, T]; without gradients it may write over x."""

    def __init__(self, channels: int):
        super().__init__(1, channels)

    def forward(self, input: Tensor) -> Tensor:
        if not for_onednn(input):
            return super().forward(input)
        rows = input.transpose(1, 2)
        mean, variance = moments(rows.flatten(1))
        scale = self.weight / (variance + self.eps).sqrt()
        shift = self.bias - mean * scale
        return torch.addcmul(shift.to(rows.dtype), rows, scale.to(rows.dtype), out=rows).transpose(1, 2)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance [B, 1, 1] of the rows of x [B, N], from sums of blocks: torch.var_mean takes 50 times as long."""
    count, whole = x.shape[1], x.shape[1] // BLOCK * BLOCK
    parts = x[:, :whole].unflatten(1, (-1, BLOCK)), x[:, None, whole:]
    sums = [part.sum(-1, dtype=torch.float32).double().sum(-1) for part in parts]
    powers = [torch.linalg.vector_norm(part, dim=-1, dtype=torch.float32).double().square().sum(-1) for part in parts]
    mean = (sums[0] + sums[1]) / count
    variance = ((powers[0] + powers[1]) / count - mean.square()).clamp(min=0)  # of a constant signal rounding can leave less
    return mean.float()[:, None, None], variance.float()[:, None, None]


class SkipLSTM(nn.LSTM):
    """x + LSTM(x) along time: [B, C, T] -> the same; bidirectional: [B, C, T] -> [B, 2 C, T], x added to both halves."""

    FEW = 8  # steps; torch's LSTM orders its weights at every call, which takes as long as so many of them

    def __init__(self, width: int, layers: int, bidirectional: bool = False):
        super().__init__(width, width, layers, bidirectional=bidirectional)
        self.orders = [(Order(), Order()) for _ in range(layers)]

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        x = input.permute(2, 0, 1)
        kept = memory.get(self) if memory is not None else None
        serves = [order.serves(input) for pair in self.orders for order in pair]
        if kept is not None and len(x) <= self.FEW and all(serves):
            y, (hidden, cell) = self.steps(x, kept[0], kept[1])
        else:
            y, (hidden, cell) = super().forward(x, None if kept is None else (kept[0], kept[1]))
        if memory is not None:
            memory[self] = (hidden, cell)
        return (y + (torch.cat([x, x], dim=-1) if self.bidirectional else x)).permute(1, 2, 0)

    def steps(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What nn.LSTM gives for a few steps [T, B, C] of a stream: the same sums by products of few rows."""
        states = []
        for index, (order_in, order_back) in enumerate(self.orders):
            inner, back, bias_in, bias_back = self.all_weights[index]
            heard = order_in.product(x, inner, bias_in)
            h, c, outputs = hidden[index], cell[index], []
            for step in heard:
                gates = order_back.product(h, back, bias_back, onto=step)
                enter, forget, _, leave = gates.sigmoid().chunk(4, -1)  # of all at once: a call costs more than the quarter not needed
                new = gates.chunk(4, -1)[2].tanh()
                c = torch.addcmul(enter * new, forget, c)
                h = leave * c.tanh()
                outputs.append(h)
            x = torch.stack(outputs)
            states.append((h, c))
        h, c = (torch.stack(parts) for parts in zip(*states, strict=True))
        return x, (h, c)
