"""Causal 1-D convolutions that give the same samples offline and piece by piece.

Signals are [B, C, T]. Called without memory, a layer treats x as a whole signal; called with one, as the next piece of a stream whose
length is a multiple of the layer's stride. A `Memory` belongs to one stream and holds, per layer, tensors of constant size.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
        if self.past < 0:
            raise ValueError(f"a causal convolution needs kernel >= stride, got kernel {kernel}, stride {stride}")

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor:
        if self.past == 0:
            return self.valid(input)
        kept = memory.get(self) if memory is not None else None
        if kept is not None:
            before = kept[0]
        elif self.pad == "replicate":
            before = input[..., :1].expand(-1, -1, self.past)
        else:
            before = input.new_zeros(1, 1, 1).expand(len(input), input.shape[1], self.past)
        x = torch.cat([before, input], dim=-1)
        if memory is not None:
            memory[self] = (x[..., -self.past :].clone(),)  # a view would keep the whole piece alive
        return self.valid(x)

    def valid(self, x: Tensor) -> Tensor:
        """The convolution without padding, in the faster of two ways."""
        long = x.numel() > self.weight.numel() or self.groups > 1 or self.dilation[0] > 1
        if long or torch.is_grad_enabled() or x.device.type != "cpu":
            return super().forward(x)
        # weights larger than the signal, as in a stream: torch would reorder them at every call, which costs more than the product
        windows = x.unfold(-1, self.kernel_size[0], self.stride[0]).transpose(1, 2).flatten(2)
        return F.linear(windows, self.weight.flatten(1), self.bias).transpose(1, 2)


class CausalConvTranspose1d(nn.ConvTranspose1d):
    """Transposed convolution trimmed on the right only: [B, in, T] -> [B, out, T * stride].

    With a kernel of one stride frames stand side by side; with two, each frame also reaches the samples of the next one, and in a
    stream that half is held back.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1, bias: bool = True):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=bias)
        if kernel not in (stride, 2 * stride):
            raise ValueError(f"the kernel must be one or two strides long, got kernel {kernel}, stride {stride}")
        if groups > 1 and not inputs == outputs == groups:
            raise ValueError(f"a transposed convolution mixes all channels or none, got {inputs} -> {outputs} in {groups} groups")

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        # one matrix product: torch's transposed convolution reorders the weights at every call, ten times the work of a short piece
        x = input.transpose(1, 2)
        taps = x @ self.weight.flatten(1) if self.groups == 1 else x[..., None] * self.weight[:, 0]
        taps = taps.reshape(*x.shape[:2], self.out_channels, -1, self.stride[0])
        y = taps[..., 0, :]  # [B, T, out, stride]
        if taps.shape[3] == 2:
            late = taps[..., 1, :]
            kept = memory.get(self) if memory is not None else None
            before = kept[0] if kept is not None else torch.zeros_like(late[:, :1])
            if memory is not None:
                memory[self] = (late[:, -1:].clone(),)
            y = y + torch.cat([before, late[:, :-1]], dim=1)
        if self.bias is not None:
            y = y + self.bias[:, None]
        return y.transpose(1, 2).flatten(2)
