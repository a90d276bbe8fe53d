"""Finite scalar quantizers (Mentzer et al. 2023, arxiv.org/abs/2309.15505): each of a few dimensions is squashed and rounded to its number
of steps, and the digits together are one code, in mixed radix, the first dimension running fastest.

There is no codebook: nothing can die, and no loss is needed beside the codec's own. In training mode gradients pass straight through the
rounding. Conventions of the squash differ from one system to the next, and are its parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.nn.quantize import Quantized


class Squash(NamedTuple):
    """How a finite scalar quantizer maps numbers to its steps, and steps to numbers."""

    bounded: Callable[[Tensor, Tensor], Tensor]  # numbers [..., D], steps [D] -> what rounds to 0 .. steps - 1
    values: Callable[[Tensor, Tensor], Tensor]  # digits [..., D], steps [D] -> numbers that they stand for


def _even(x: Tensor, steps: Tensor) -> Tensor:
    half = (steps - 1) / 2
    middle = steps // 2 - half  # an even number of steps has no middle one: zero goes to the upper one of the two
    reach = half + 0.5 - 1e-3  # the outermost steps are as wide as the others
    return half + reach * torch.tanh(x + torch.atanh(middle / reach))


def _shifted(x: Tensor, steps: Tensor) -> Tensor:
    half = (steps - 1) * (1 + 1e-3) / 2
    offset = (steps % 2 == 0) / 2
    return torch.tanh(x + torch.atanh(offset / half)) * half - offset


def _by_tangent(x: Tensor, steps: Tensor) -> Tensor:
    reach = (steps - 1) / 2 * (1 - 1e-3)
    offset = (steps % 2 == 0) / 2
    return torch.tanh(x + torch.tan(offset / reach)) * reach - offset + steps // 2


def _around_zero(digits: Tensor, steps: Tensor) -> Tensor:
    return (digits - steps // 2) / (steps // 2)


EVEN = Squash(_even, lambda digits, steps: 2 * digits / (steps - 1) - 1)  # steps of one width, values from -1 to 1
# 0 is among the values of these: as vector-quantize-pytorch has it alone, and BiCodec's authors within a residual quantizer;
SHIFTED = Squash(lambda x, steps: _shifted(x, steps) + steps // 2, _around_zero)
# as that package has it within a residual quantizer, where what was squashed is squashed again;
SHIFTED_TWICE = Squash(lambda x, steps: _shifted(_shifted(x, steps), steps) + steps // 2, _around_zero)
BY_TANGENT = Squash(_by_tangent, _around_zero)  # and NeMo's: the shift of an even number of steps is a tangent


def places_of(steps: tuple[int, ...]) -> Tensor:
    """What one step of each digit adds to a code [D]."""
    return torch.tensor([math.prod(steps[:i]) for i in range(len(steps))])


def joined(digits: Tensor, places: Tensor) -> Tensor:
    """Digits [..., D] -> codes [...] int64."""
    return (digits.long() * places).sum(-1)


def split(codes: Tensor, places: Tensor, steps: Tensor) -> Tensor:
    """Codes [...] -> digits [..., D]."""
    return codes[..., None] // places % steps


class GroupedScalarQuantizer(nn.Module):
    """Latents [B, groups * len(steps), F] <-> codes [B, groups, F], one of each group of dimensions, as NeMo has it; nothing is learnt."""

    steps: Tensor
    places: Tensor

    def __init__(self, groups: int, steps: tuple[int, ...], squash: Squash = BY_TANGENT):
        super().__init__()
        if min(steps, default=0) < 2:
            raise ValueError(f"every dimension needs 2 steps or more, got {steps}")
        self.groups, self.squash, self.size = groups, squash, math.prod(steps)
        self.width = groups * len(steps)  # dimensions of the latents
        self.register_buffer("steps", torch.tensor(steps), persistent=False)
        self.register_buffer("places", places_of(steps), persistent=False)

    def bounded(self, x: Tensor) -> Tensor:
        """Latents [B, W, F] -> [B, groups, F, D], which rounds to 0 .. steps - 1 in each dimension."""
        return self.squash.bounded(x.unflatten(1, (self.groups, -1)).transpose(2, 3), self.steps)

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        """Latents [B, W, F] -> codes [B, groups, F]."""
        self._whole(self.groups if levels is None else levels)
        return joined(self.bounded(x).round(), self.places)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, groups, F] -> latents [B, W, F]."""
        self._whole(codes.shape[1])
        return self._back(split(codes, self.places, self.steps))

    def forward(self, x: Tensor, *, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, W, F]; nothing here is random."""
        points = self.bounded(x)
        digits = points.round()
        return Quantized(self._back(points + (digits - points).detach()), joined(digits, self.places), x.new_zeros(()))

    def _back(self, digits: Tensor) -> Tensor:
        return self.squash.values(digits, self.steps).transpose(2, 3).flatten(1, 2)

    def _whole(self, codes: int) -> None:
        if codes != self.groups:
            raise ValueError(f"a finite scalar quantizer has {self.groups} codes per frame, which need each other, got {codes}")


class FiniteScalarQuantizer(GroupedScalarQuantizer):
    """Latents [B, width, F] <-> codes [B, 1, F]: one group of dimensions between projections, which are all there is to learn."""

    def __init__(self, steps: tuple[int, ...], width: int, squash: Squash = EVEN):
        super().__init__(1, steps, squash)
        self.width = width
        self.input_proj, self.output_proj = nn.Conv1d(width, len(steps), 1), nn.Conv1d(len(steps), width, 1)

    def bounded(self, x: Tensor) -> Tensor:
        """Latents [B, W, F] -> [B, 1, F, D], which rounds to 0 .. steps - 1 in each dimension."""
        return super().bounded(self.input_proj(x))

    def _back(self, digits: Tensor) -> Tensor:
        return self.output_proj(super()._back(digits))
