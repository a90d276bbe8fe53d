"""Convolutions, matrix products and activations of inference on a CPU, by oneDNN.

Torch's own products (MKL) run at half of oneDNN's speed on AMD, and its convolutions reorder their weights at every call. Here a layer
keeps its weights in oneDNN's order (`Order`), and signals are stored by frames: their shape stays [B, C, T], but the C values of a sample
are neighbours in memory, as in x.transpose(1, 2) of a contiguous [B, T, C].

Few rows, as a stream has them frame by frame, are multiplied by whichever library bench.nn.few_rows says.

A layer asks `for_onednn(x)` and else does what torch's own layer does: on other devices, where gradients are wanted, under autocast, in
builds without oneDNN, and under `torch.backends.mkldnn.flags(enabled=False)`. Both ways give the same values but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn import few_rows

LOG2_E = 1.4426950408889634
ROWS = 256  # of the products that weights are ordered for; other sizes run as fast
WIDE = torch.backends.cpu.get_cpu_capability() == "AVX512"
ONE_ORDER = WIDE  # whether one order of a convolution's weight serves signals of any length
FEW = 4096  # values of a weight that is put in order at every call in no time
ENOUGH = 400  # outputs, and as many as inputs, from which on a convolution of three taps is worth putting its weight in order anew
BRIEF = 2**13  # values whose ELU torch's one call takes sooner than five calls
UNFOLDED = 2**20  # values of unfolded frames that are held at a time

After = Literal["none", "gelu"]
Made = TypeVar("Made")


def for_onednn(x: Tensor) -> bool:
    """Whether x takes the paths of this module."""
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.bfloat16):
        return False
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return False  # these operators have no gradient and choose no type
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return False
    return x.dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()  # not on every processor


@dataclass(frozen=True)
class Unordered:
    """A convolution's weight [out, in, k] where the processor has no AVX-512, and as the matrix [out, k * in] of unfolded frames, in order.

    There oneDNN wants other orders for other lengths. From a weight that is in one already it makes them by code that takes up to fifty
    times as long as the convolution; from one that is in none, quickly, but at every call. A matrix has one order.
    """

    plain: Tensor
    matrix: Tensor | None  # None: so few values that they are put in order at every call

    def unfolds(self, outputs: int) -> bool:
        """Whether so many outputs are sooner there by unfolded frames, which are copied once for each tap."""
        return self.matrix is not None and outputs < max(ENOUGH, self.plain.shape[1])


class Order:
    """A layer's weight in oneDNN's order, made at first use and again after the weight has changed or may have."""

    def __init__(self) -> None:
        self.key: tuple[object, ...] = ()
        self.made: dict[str, Any] = {}

    def serves(self, x: Tensor) -> bool:
        """Whether x takes the path of this order."""
        if for_onednn(x):
            return True
        self.made.clear()  # the weight may be learning, and fused optimizers change it without counting
        return False

    def of(self, weight: Tensor, make: Callable[[Tensor], Made], kind: str = "ordered") -> Made:
        """make(weight), or what it made before under the name of this kind."""
        if weight.is_inference():  # made in inference mode, it counts no changes
            return make(weight)
        key = (weight.data_ptr(), weight._version, weight.dtype, weight.shape)
        if key != self.key:
            self.key, self.made = key, {}
        if kind not in self.made:
            self.made[kind] = make(weight.detach())
        return self.made[kind]

    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None = None, onto: Tensor | None = None, after: After = "none") -> Tensor:
        """x [..., in] times this order's weight [out, in]; plus onto [..., out], which may be overwritten, or GELU of it."""
        if not few_rows.by_blas(x, x.numel() // x.shape[-1], weight):
            return product(x, self.of(weight, ordered_matrix), bias, onto, after)
        y = F.linear(x, self.of(weight, few_rows.laid, "laid"), bias)
        return y.add_(onto) if onto is not None else F.gelu(y) if after == "gelu" else y

    def __reduce__(self) -> tuple[type[Order], tuple[()]]:
        return Order, ()  # a copied or a stored layer orders its own weight


def ordered(weight: Tensor, stride: int = 1, dilation: int = 1, groups: int = 1) -> Tensor | Unordered:
    """A convolution's weight [out, in / groups, k] in oneDNN's order, as `convolved` wants it: of one tap as a matrix [out, in]."""
    one_tap, few = weight.shape[2] == stride == 1, weight.numel() <= FEW
    if groups == 1 and not ONE_ORDER and few and not one_tap:
        return Unordered(weight, None)
    if groups == 1 and (one_tap or not ONE_ORDER):
        matrix = ordered_matrix(weight.transpose(1, 2).flatten(1).contiguous())
        return matrix if stride > 1 or weight.shape[2] < 3 else Unordered(weight, matrix)  # those are sooner there unfolded, however many
    size = [1, weight.shape[1] * groups, 1, ROWS * stride + (weight.shape[2] - 1) * dilation]
    return torch.ops.mkldnn._reorder_convolution_weight(weight[:, :, None].contiguous(), [0, 0], [1, stride], [1, dilation], groups, size)


def ordered_matrix(weight: Tensor) -> Tensor:
    """A weight [out, in] in oneDNN's order."""
    return torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)


def spreading(weight: Tensor, stride: int) -> Tensor | Unordered:
    """A transposed convolution's weight [in, out, k] in oneDNN's order, as `spread` wants it: [stride * out, in, ceil(k / stride)]."""
    return ordered(turned(weight, stride))


def turned(weight: Tensor, stride: int) -> Tensor:
    """A transposed convolution's weight [in, out, k] as that of the convolution that gives a stride at once: [stride * out, in, frames]."""
    weight = F.pad(weight, (0, -weight.shape[-1] % stride))
    return weight.unflatten(-1, (-1, stride)).flip(2).permute(3, 1, 0, 2).flatten(0, 1)  # flipped: the last frame comes last


def convolved(
    x: Tensor,
    weight: Tensor | Unordered,
    bias: Tensor | None,
    stride: int = 1,
    dilation: int = 1,
    onto: Tensor | None = None,
    padding: int = 0,
    groups: int = 1,
) -> Tensor:
    """Convolution of x [B, in, T] between zeros with an ordered weight, added to `onto` [B, out, T'], which may be overwritten."""
    rows = x.transpose(1, 2).contiguous()
    if isinstance(weight, Unordered) and weight.unfolds(x.numel() // x.shape[1]):
        weight = cast(Tensor, weight.matrix)
    if isinstance(weight, Tensor) and weight.ndim == 2:
        return _unfolded(rows, weight, bias, stride, dilation, None if onto is None else onto.transpose(1, 2), padding).transpose(1, 2)
    image = rows.unsqueeze(1).permute(0, 3, 1, 2)  # [B, in, 1, T], "channels last": oneDNN's operators know images only
    if isinstance(weight, Unordered):
        y = F.conv2d(image, weight.plain[:, :, None], bias, (1, stride), (0, padding), (1, dilation))[:, :, 0]
        return y if onto is None else y.add_(onto)
    arguments = weight, bias, [0, padding], [1, stride], [1, dilation], groups
    if onto is None:
        return torch.ops.mkldnn._convolution_pointwise(image, *arguments, "none", [], "")[:, :, 0]
    target = onto.transpose(1, 2).contiguous().unsqueeze(1).permute(0, 3, 1, 2)
    return torch.ops.mkldnn._convolution_pointwise_.binary(target, image, *arguments, "add", 1.0, None, [], None)[:, :, 0]


def _unfolded(rows: Tensor, weight: Tensor, bias: Tensor | None, stride: int, dilation: int, onto: Tensor | None, padding: int) -> Tensor:
    """`convolved` of frames [B, T, in] with a matrix [out, k * in] -> [B, T', out]: a product of k frames laid side by side."""
    inputs = rows.shape[2]
    taps = weight.shape[1] // inputs
    if taps == stride == 1:
        return product(rows, weight, bias, onto)
    rows = F.pad(rows, (0, 0, padding, padding))
    count = (rows.shape[1] - (taps - 1) * dilation - 1) // stride + 1
    steps = rows.stride(0), stride * inputs, dilation * inputs, 1
    frames = rows.as_strided((len(rows), count, taps, inputs), steps)  # each seen k times, copied piece by piece
    length = max(1, UNFOLDED // (len(rows) * taps * inputs))
    pieces = [
        product(frames[:, i : i + length].flatten(2), weight, bias, None if onto is None else onto[:, i : i + length].contiguous())
        for i in range(0, count, length)
    ]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, 1)


def spread(x: Tensor, weight: Tensor | Unordered, bias: Tensor | None, stride: int) -> Tensor:
    """Transposed convolution of x [B, in, T] with a weight of `spreading` -> the samples that lack no frame."""
    # a convolution over the frames whose channels are the samples of a stride: by frames they lie in order
    y = convolved(x, weight, None if bias is None else bias.repeat(stride)).transpose(1, 2)
    return y.reshape(len(x), y.shape[1] * stride, -1).transpose(1, 2)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None, onto: Tensor | None = None, after: After = "none") -> Tensor:
    """x [..., in] times weight [out, in], in oneDNN's order or not, plus bias [out]; plus onto [..., out], or GELU of it."""
    if onto is not None:
        return torch.ops.mkldnn._linear_pointwise.binary(x, onto, weight, bias, "add")
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, after, [], "none" if after == "gelu" else "")  # "none": not by tanh


def linear(layer: nn.Linear, x: Tensor, after: After = "none") -> Tensor:
    """The layer, and GELU if asked for. Keeps no second copy of the weight as `Linear` does, and takes a little longer for many rows."""
    if for_onednn(x):
        return product(x, layer.weight, layer.bias, after=after)
    y = F.linear(x, layer.weight, layer.bias)
    return F.gelu(y) if after == "gelu" else y


class Linear(nn.Linear):
    """[..., in] -> [..., out], and GELU if asked for. The weight in oneDNN's order halves the time of a few rows, as in a stream."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        super().__init__(inputs, outputs, bias)
        self.order = Order()

    def forward(self, input: Tensor, after: After = "none") -> Tensor:
        if self.order.serves(input):
            return self.order.product(input, self.weight, self.bias, after=after)
        return linear(self, input, after)


def joined(parts: list[Tensor], dim: Literal[0, -1] = -1) -> Tensor:
    """Tensors [B, C, n] one after the other in time, or as items of a batch (0); stored by frames, where torch.cat stores by channels."""
    if not for_onednn(parts[0]):
        return torch.cat(parts, dim)
    return torch.cat([part.transpose(1, 2) for part in parts], 0 if dim == 0 else 1).transpose(1, 2)


def elu(x: Tensor, inplace: bool) -> Tensor:
    """Exponential linear unit, by exp2 where there are many values: in a fifth of the time that torch's own takes."""
    if x.numel() <= BRIEF or not for_onednn(x):
        return F.elu(x, inplace=inplace)
    below = x.clamp(max=0).mul_(LOG2_E).exp2_().sub_(1)
    return torch.maximum(x, below, out=x if inplace else below)


def sine_(x: Tensor) -> Tensor:
    """The sine of x, over x: by numpy, in a third of torch's time, where the processor has AVX-512; else by torch, in .7 of numpy's."""
    if WIDE and x.dtype == torch.float32:
        np.sin(x.numpy(), out=x.numpy())
        return x
    return x.sin_()
