"""A finite scalar quantizer of groups of dimensions, as NeMo has it: each group of latents is one code, and nothing is learnt.

In training mode gradients pass straight through the rounding, as in the quantizers of bench/nn/quantizers.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.nn.quantize import Quantized
from bench.nn.quantizers import SHIFTED_TWICE, Squash


def _by_tangent(x: Tensor, steps: Tensor) -> Tensor:
    reach = (steps - 1) / 2 * (1 - 1e-3)
    offset = (steps % 2 == 0) / 2
    return torch.tanh(x + torch.tan(offset / reach)) * reach - offset + steps // 2


BY_TANGENT = Squash(_by_tangent, SHIFTED_TWICE.values)  # NeMo's: the shift of an even number of steps is a tangent; 0 is among the values


class GroupedScalarQuantizer(nn.Module):
    """Latents [B, groups * len(steps), F] <-> codes [B, groups, F], the first dimension of a group being the fastest digit of its code."""

    steps: Tensor
    places: Tensor

    def __init__(self, groups: int, steps: tuple[int, ...], squash: Squash = BY_TANGENT):
        super().__init__()
        if min(steps, default=0) < 2:
            raise ValueError(f"every dimension needs 2 steps or more, got {steps}")
        self.groups, self.squash, self.size = groups, squash, math.prod(steps)
        self.register_buffer("steps", torch.tensor(steps), persistent=False)
        self.register_buffer("places", torch.tensor([math.prod(steps[:i]) for i in range(len(steps))]), persistent=False)

    @property
    def width(self) -> int:
        """Dimensions of the latents."""
        return self.groups * len(self.steps)

    def bounded(self, x: Tensor) -> Tensor:
        """Latents [B, W, F] -> [B, groups, F, D], which rounds to 0 .. steps - 1 in each dimension."""
        return self.squash.bounded(x.unflatten(1, (self.groups, -1)).transpose(2, 3), self.steps)

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        """Latents [B, W, F] -> codes [B, groups, F]."""
        self._whole(self.groups if levels is None else levels)
        return (self.bounded(x).round().long() * self.places).sum(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, groups, F] -> latents [B, W, F]."""
        self._whole(codes.shape[1])
        return self._back(codes[..., None] // self.places % self.steps)

    def forward(self, x: Tensor, *, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, W, F]; nothing here is random."""
        points = self.bounded(x)
        digits = points.round()
        codes = (digits.long() * self.places).sum(-1)
        return Quantized(self._back(points + (digits - points).detach()), codes, x.new_zeros(()))

    def _back(self, digits: Tensor) -> Tensor:
        return self.squash.values(digits, self.steps).transpose(2, 3).flatten(1, 2)

    def _whole(self, codes: int) -> None:
        if codes != self.groups:
            raise ValueError(f"a quantizer of {self.groups} groups has as many codes per frame, which need each other, got {codes}")
