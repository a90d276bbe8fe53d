"""Multiply-accumulates and parameters of a tokenizer.

Counted are the multiply-accumulates of convolutions, matrix products, attention, LSTMs and distances to codebooks, as they really run:
padding, pieces and all. Fourier transforms and elementwise work are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode, bmm_flop

from bench.api import Tokenizer
from bench.engine.autocast import layers

aten, mkldnn = torch.ops.aten, torch.ops.mkldnn
Shape = torch.Size | tuple[int, ...]
LIBRARY = "not computed by torch layers"


def parameters(tokenizer: Tokenizer) -> int:
    """Parameters in its weights, codebooks included, learned by gradients or not; each once."""
    tensors = {t.data_ptr(): t for module in layers(tokenizer) for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()}
    return sum(t.numel() for t in tensors.values())


def macs(call: Callable[[], object]) -> int:
    """Multiply-accumulates of a call."""
    with torch.inference_mode(), FlopCounterMode(display=False, custom_mapping=UNKNOWN_TO_TORCH) as counter:
        call()
    return counter.get_total_flops() // 2


def _attention(query: Shape, key: Shape, value: Shape, *rest: object, out_shape: object = None, **named: object) -> int:
    """q [..., L, D], k [..., S, D], v [..., S, E]: the products with k and with v."""
    return 2 * math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _lstm(wav: Shape, state: object, weights: list[Shape], *rest: object, out_shape: object = None, **named: object) -> int:
    """Input [T, B, D]: each matrix once a step."""
    return 2 * wav[0] * wav[1] * sum(math.prod(shape) for shape in weights if len(shape) == 2)


def _distances(a: Shape, b: Shape, *rest: object, out_shape: object = None, **named: object) -> int:
    """a [..., P, M], b [..., R, M]: as the one product that they come down to."""
    return bmm_flop((math.prod(a[:-2]), *a[-2:]), (math.prod(a[:-2]), b[-1], b[-2]))


def _linear(x: Shape, *rest: object, out_shape: Shape, **named: object) -> int:
    """x [..., in] -> [..., out]."""
    return 2 * x[-1] * math.prod(out_shape)


def _convolution(x: Shape, weight: Shape, *rest: object, out_shape: Shape, **named: object) -> int:
    """Weight [out, in, ...]: each output is so many products."""
    return 2 * math.prod(weight[1:]) * math.prod(out_shape)


def _convolution_onto(onto: Shape, x: Shape, weight: Shape, *rest: object, out_shape: Shape, **named: object) -> int:
    return _convolution(x, weight, out_shape=out_shape)


UNKNOWN_TO_TORCH = {  # its own counter knows what these are made of on some devices only; an overload's name keeps it from looking
    aten.scaled_dot_product_attention.default: _attention,
    aten.scaled_dot_product_attention: _attention,
    aten.lstm.input: _lstm,
    aten.lstm: _lstm,
    aten._cdist_forward: _distances,
    aten._euclidean_dist: _distances,
    mkldnn._linear_pointwise: _linear,
    mkldnn._convolution_pointwise: _convolution,
    mkldnn._convolution_pointwise_: _convolution_onto,
}
