"""An activation at twice the sample rate, so that the overtones it makes do not fold back (Lee et al. 2022, arxiv.org/abs/2206.04658).

Signals are [B, C, T]. Both the way up and the way down low-pass by the same Kaiser-windowed sinc of 12 taps (Karras et al. 2021,
arxiv.org/abs/2106.12423); the first and the last sample stand for those beyond. The signal at the double rate is never interleaved: its
even and its odd samples are two signals, and each filter of 12 taps is one of 6 for either.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.causal_snake import SnakeBeta
from bench.nn.flow import Flow
from bench.nn.onednn import Order, Unordered, convolved, joined, ordered

TAPS = 12
REACH = TAPS // 4  # samples on either side that each of the two filters hears
KAISER = 0.1102 * (2.285 * (TAPS // 2 - 1) * math.pi * 1.2 + 7.95 - 8.7)  # its shape, for a transition of 0.6 of the original rate

Phases = tuple[Tensor, Tensor]
Filters = tuple[Tensor | Unordered, Tensor | Unordered]


def low_pass() -> Tensor:
    """The filter [1, 1, 12], at twice the sample rate: it passes what the original rate can hold, and its taps add up to 1."""
    time = torch.arange(TAPS) - (TAPS - 1) / 2
    taps = torch.kaiser_window(TAPS, beta=KAISER, periodic=False) * torch.sinc(time / 2)
    return (taps / taps.sum()).view(1, 1, -1)


class AntiAliased(nn.Module):
    """`act` at twice the sample rate: x [B, C, T] -> the same. It must work on each sample alone, and may write over its input."""

    up: Tensor
    down: Tensor

    def __init__(self, channels: int, act: nn.Module):
        super().__init__()
        self.channels, self.act = channels, act
        self.register_buffer("up", low_pass())
        self.register_buffer("down", low_pass())
        self.orders = Order(), Order()

    def forward(self, x: Tensor, flow: Flow | None = None) -> Tensor:
        """The next outputs, as many as what has come suffices for."""
        flow = flow or Flow()
        kept = flow.kept.pop(self, None)
        x = x if kept is None else joined([kept, x])
        starts = kept is None or kept.shape[-1] < 4 * REACH  # no piece before was long enough
        if not flow.last and x.shape[-1] < 4 * REACH:
            flow.keep(self, x)
            return x[..., :0]
        flow.keep(self, x[..., -4 * REACH :])
        ends = REACH * starts, REACH * flow.last
        x = held(x, x, x, *ends)
        even, odd = self._weights(x, 0, interpolating)
        a, b = self.act(depthwise(x[..., :-1], even)), self.act(depthwise(x[..., 1:], odd))
        a, b = held(a, a, b, *ends), held(b, a, b, *ends)
        even, odd = self._weights(x, 1, decimating)
        return depthwise(b[..., :-1], odd, onto=depthwise(a[..., 1:], even))

    def _weights(self, x: Tensor, at: int, phases: Callable[[Tensor, int], Phases]) -> Filters:
        """Of the filter up (0) or down (1), in oneDNN's order where x takes its path."""
        order, filter = self.orders[at], (self.up, self.down)[at]
        if not order.serves(x):
            return phases(filter, self.channels)
        return order.of(filter, partial(_ordered, phases=phases, channels=self.channels))


def anti_aliased_snake(channels: int, inplace: bool = False) -> AntiAliased:
    """SnakeBeta at twice the sample rate. `inplace` is taken for the sake of one interface: the signal at that rate is nobody else's."""
    return AntiAliased(channels, SnakeBeta(channels, inplace=True))


def held(x: Tensor, first: Tensor, last: Tensor, left: int, right: int) -> Tensor:
    """x [B, C, T] after the first sample of `first`, `left` times, and before the last one of `last`, `right` times."""
    if not left and not right:  # a piece in the middle: nothing to copy
        return x
    ends = first[..., :1].expand(-1, -1, left), last[..., -1:].expand(-1, -1, right)
    return joined([ends[0], x, ends[1]])


def interpolating(filter: Tensor, channels: int) -> Phases:
    """What makes the even and the odd samples at the double rate: each [channels, 1, 6]. Half of these are zeros: hence the factor."""
    taps = 2 * filter.flip(-1)
    return taps[..., 0::2].expand(channels, 1, -1), taps[..., 1::2].expand(channels, 1, -1)


def decimating(filter: Tensor, channels: int) -> Phases:
    """What the even and the odd samples give back to the original rate: each [channels, 1, 6]."""
    return filter[..., 1::2].expand(channels, 1, -1), filter[..., 0::2].expand(channels, 1, -1)


def _ordered(filter: Tensor, phases: Callable[[Tensor, int], Phases], channels: int) -> Filters:
    even, odd = (ordered(weight.contiguous(), groups=channels) for weight in phases(filter, channels))
    return even, odd


def depthwise(x: Tensor, weight: Tensor | Unordered, onto: Tensor | None = None) -> Tensor:
    """x [B, C, T] through one filter for each channel, without padding, added to `onto`, which may be overwritten."""
    if isinstance(weight, Unordered) or weight.is_mkldnn:
        return convolved(x, weight, None, onto=onto, groups=x.shape[1])
    y = F.conv1d(x, weight, groups=x.shape[1])
    return y if onto is None else onto + y
