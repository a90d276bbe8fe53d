"""Causal 1-D convolutions that give the same samples offline and piece by piece.

Signals are [B, C, T]. Called without memory, a layer treats x as a whole signal; called with one, as the next piece of a stream whose
length is a multiple of the layer's stride. A `Memory` belongs to one stream and holds, per layer, tensors of constant size.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor, nn

from bench.nn import few_rows
from bench.nn.onednn import Order, convolved, joined, ordered, spread, spreading, turned

Memory = dict[nn.Module, tuple[Tensor, ...]]


class CausalConv1d(nn.Conv1d):
    """Convolution padded on the left only: [B, in, T] -> [B, out, T / stride]; T must be a multiple of the stride."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        pad: Literal["constant", "replicate"] = "constant",
    ):
        super().__init__(inputs, outputs, kernel, stride, dilation=dilation, groups=groups, bias=bias)
        self.past = (kernel - 1) * dilation + 1 - stride
        self.pad = pad
        self.order = Order()
        if self.past < 0:
            raise ValueError(f"a causal convolution needs kernel >= stride, got kernel {kernel}, stride {stride}")

    def forward(self, input: Tensor, memory: Memory | None = None, onto: Tensor | None = None) -> Tensor:
        """The convolution, added to `onto`, which may be overwritten."""
        if self.past == 0:
            return self.valid(input, onto)
        kept = memory.get(self) if memory is not None else None
        if kept is not None:
            before = kept[0]
        elif self.pad == "replicate":
            before = input[..., :1].expand(-1, -1, self.past)
        else:
            before = input.new_zeros(1, 1, 1).expand(len(input), input.shape[1], self.past)
        x = joined([before, input])
        if memory is not None:
            memory[self] = (x[..., -self.past :].clone(),)  # a view would keep the whole piece alive
        return self.valid(x, onto)

    def valid(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """The convolution without padding, added to `onto`, which may be overwritten."""
        if self.groups == 1 and self.order.serves(x):
            stride, dilation = self.stride[0], self.dilation[0]
            if few_rows.by_blas(x, len(x) * few_rows.count(x.shape[-1], self.kernel_size[0], stride, dilation), self.weight):
                matrix = self.order.of(self.weight, few_rows.taps_first, "laid")
                return few_rows.convolved(x, matrix, self.bias, stride, dilation, onto)
            weight = self.order.of(self.weight, partial(ordered, stride=stride, dilation=dilation))
            return convolved(x, weight, self.bias, stride, dilation, onto)
        y = super().forward(x)
        return y if onto is None else onto + y


class CausalConvTranspose1d(nn.ConvTranspose1d):
    """Transposed convolution trimmed on the right only: [B, in, T] -> [B, out, T * stride].

    With a kernel of one stride frames are side by side; with more, each frame also reaches the samples of the next ones, and in a
    stream those are held back.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1, bias: bool = True):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=bias)
        if kernel % stride or (groups > 1 and kernel > 2 * stride):
            raise ValueError(f"the kernel must be whole strides long, with groups one or two, got kernel {kernel}, stride {stride}")
        if groups > 1 and not inputs == outputs == groups:
            raise ValueError(f"a transposed convolution mixes all channels or none, got {inputs} -> {outputs} in {groups} groups")
        self.order = Order()

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.kernel_size == self.stride:
            return self.spread(input)
        past = self.kernel_size[0] // self.stride[0] - 1
        kept = memory.get(self) if memory is not None else None
        before = kept[0] if kept is not None else input.new_zeros(1, 1, 1).expand(len(input), self.in_channels, past)
        x = joined([before, input])
        if memory is not None:
            memory[self] = (x[..., -past:].clone(),)
        return self.spread(x)

    def spread(self, x: Tensor) -> Tensor:
        """x [B, in, T] -> [B, out, (T - span + 1) * stride], where a frame reaches `span` strides: the samples that lack no frame."""
        span, stride = self.kernel_size[0] // self.stride[0], self.stride[0]
        if self.groups == 1 and self.order.serves(x):
            if few_rows.by_blas(x, len(x) * few_rows.count(x.shape[-1], span), self.weight):
                matrix = self.order.of(self.weight, lambda weight: few_rows.taps_first(turned(weight, stride)), "laid")
                y = few_rows.convolved(x, matrix, None).transpose(1, 2).reshape(len(x), -1, self.out_channels)
                return (y if self.bias is None else y.add_(self.bias)).transpose(1, 2)
            return spread(x, self.order.of(self.weight, partial(spreading, stride=stride)), self.bias, stride)
        if self.groups == 1:
            y = super().forward(x)
            cut = (span - 1) * stride
            return y[..., cut : y.shape[-1] - cut]
        taps = (x.transpose(1, 2)[..., None] * self.weight[:, 0]).unflatten(-1, (span, stride))  # [B, T, out, span, stride]
        y = taps[..., 0, :] if span == 1 else taps[:, 1:, :, 0] + taps[:, :-1, :, 1]
        if self.bias is not None:
            y = y + self.bias[:, None]
        return y.transpose(2, 3).flatten(1, 2).transpose(1, 2)
