"""2-D convolutions over time and frequency, causal in time, that give the same maps offline and piece by piece.

Maps are [B, T, F, C]: the C values of a bin are neighbours in memory. Convolutions see nothing later in time; in frequency they are
centred. Called without memory, a layer treats x as a whole map, whose last stride may be broken; with one, as the next piece of a stream,
of whole strides but for the very last.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import Memory
from bench.nn.onednn import ONE_ORDER, Order

Pair = tuple[int, int]  # along time, along frequency


class CausalConv2d(nn.Conv2d):
    """Convolution [B, T, F, in] -> [B, ceil(T / s), F / s', out] with zeros before the first row and on both sides; F of whole strides."""

    def __init__(self, inputs: int, outputs: int, kernel: Pair, stride: Pair = (1, 1)):
        super().__init__(inputs, outputs, kernel, stride)
        self.past, spare = kernel[0] - stride[0], kernel[1] - stride[1]
        if min(self.past, spare) < 0:
            raise ValueError(f"a causal convolution needs kernel >= stride, got kernel {kernel}, stride {stride}")
        self.sides = spare // 2, spare - spare // 2  # where they differ, the lower side has fewer
        self.order = Order()

    def forward(self, input: Tensor, memory: Memory | None = None, onto: Tensor | None = None) -> Tensor:
        """The convolution, added to `onto`, which may be overwritten."""
        broken = -input.shape[1] % self.stride[0]
        lower, upper = self.sides
        x = behind(self, input, self.past, memory)
        if broken or lower != upper:
            x = F.pad(x, (0, 0, lower, upper, 0, broken))
            lower = 0
        return convolved(x, self.weight, self.bias, self.order, as_it_is, (self.stride[0], self.stride[1]), lower, onto)


class CausalConvTranspose2d(nn.ConvTranspose2d):
    """Transposed convolution [B, T, F, in] -> [B, T s, F s', out], the end in time and both sides cut; kernels of whole strides.

    The samples of a stride are channels of a plain convolution over the rows and bins that reach them.
    """

    def __init__(self, inputs: int, outputs: int, kernel: Pair, stride: Pair):
        super().__init__(inputs, outputs, kernel, stride)
        if kernel[0] % stride[0] or kernel[1] % stride[1]:
            raise ValueError(f"the kernel must be whole strides long, got kernel {kernel}, stride {stride}")
        self.reach = kernel[0] // stride[0], kernel[1] // stride[1]
        self.cut = (kernel[1] - stride[1]) // 2  # bins of the lower side
        self.order = Order()

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        rows, bins = self.stride[0], self.stride[1]
        count, wide = input.shape[1], input.shape[2]
        x = behind(self, input, self.reach[0] - 1, memory)
        bias = None if self.bias is None else self.bias.repeat(rows * bins)
        y = convolved(x, self.weight, bias, self.order, partial(spreading, stride=(rows, bins)), side=self.reach[1] - 1)
        y = y.unflatten(-1, (rows, -1)).transpose(2, 3).reshape(len(x), count * rows, -1, self.out_channels)
        return y[:, :, self.cut : self.cut + wide * bins]


def behind(layer: nn.Module, x: Tensor, rows: int, memory: Memory | None) -> Tensor:
    """x [B, T, F, C] with the rows that came before it: those that the memory holds for the layer, or zeros."""
    if rows == 0:
        return x
    kept = memory.get(layer) if memory is not None else None
    before = kept[0] if kept is not None else x.new_zeros(1, 1, 1, 1).expand(len(x), rows, *x.shape[2:])
    x = torch.cat([before, x], dim=1)
    if memory is not None:
        memory[layer] = (x[:, -rows:].clone(),)  # a view would keep the whole piece alive
    return x


def as_it_is(weight: Tensor) -> Tensor:
    return weight


def spreading(weight: Tensor, stride: Pair) -> Tensor:
    """A transposed convolution's weight [in, out, k, k'] as that of a convolution [s s' out, in, k / s, k' / s']."""
    parts = weight.unflatten(3, (-1, stride[1])).unflatten(2, (-1, stride[0]))  # [in, out, k / s, s, k' / s', s']
    return parts.flip(2, 4).permute(3, 5, 1, 0, 2, 4).flatten(0, 2)  # flipped: what comes last is met last


def convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    order: Order,
    made: Callable[[Tensor], Tensor],
    stride: Pair = (1, 1),
    side: int = 0,
    onto: Tensor | None = None,
) -> Tensor:
    """Convolution of x [B, T, F, in] with made(weight) [out, in, k, k'], `side` zeros beside the bins, added to `onto`, if any."""
    image = x.permute(0, 3, 1, 2)
    if ONE_ORDER and order.serves(x):  # one order serves maps of any length
        ready = order.of(weight, lambda theirs: ordered(made(theirs), stride, side))
        arguments = ready, bias, [0, side], list(stride), [1, 1], 1
        if onto is None:
            y = torch.ops.mkldnn._convolution_pointwise(image, *arguments, "none", [], "")
        else:
            target = onto.contiguous().permute(0, 3, 1, 2)
            y = torch.ops.mkldnn._convolution_pointwise_.binary(target, image, *arguments, "add", 1.0, None, [], None)
        return y.permute(0, 2, 3, 1)
    y = F.conv2d(image, made(weight), bias, stride, (0, side)).permute(0, 2, 3, 1)
    return y if onto is None else onto + y


def ordered(weight: Tensor, stride: Pair, side: int) -> Tensor:
    """A convolution's weight [out, in, k, k'] in oneDNN's order."""
    size = [1, weight.shape[1], 32 * stride[0] + weight.shape[2], 32 * stride[1] + weight.shape[3]]
    return torch.ops.mkldnn._reorder_convolution_weight(weight.contiguous(), [0, side], list(stride), [1, 1], 1, size)
