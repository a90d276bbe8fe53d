"""Residual finite scalar quantizer (Parker et al. 2024, arxiv.org/abs/2411.19842): each stage rounds what the stages before left over.

Latents [B, D, F] <-> codes [B, K, F], K stages. A hyperbolic tangent brings the latents between -1 and 1; a stage of L steps and scale s
knows L numbers from -s to s, and what it leaves is at most half of the width between two of them. The first dimension runs fastest in a
code. Nothing is learnt: stages can be chosen after training. Rounding is done in float64, as the authors' code does: in float32 the stages
behind the first would round other numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.nn.finite_scalar import joined, places_of, split
from bench.nn.quantize import Quantized

Stage = tuple[tuple[int, ...], float]  # steps of each dimension, scale


class ResidualScalarQuantizer(nn.Module):
    """Stages of finite scalar quantizers without projections."""

    steps: Tensor  # [K, D], as `places`, what a step of a digit adds to a code
    places: Tensor
    scales: Tensor  # [K, 1]
    widths: Tensor  # [K, D], between two neighbours

    def __init__(self, stages: tuple[Stage, ...]):
        super().__init__()
        steps = torch.tensor([steps for steps, _ in stages])
        scales = torch.tensor([scale for _, scale in stages])[:, None]
        places = torch.stack([places_of(steps) for steps, _ in stages])
        facts = {"steps": steps, "places": places, "scales": scales, "widths": 2 * scales / (steps - 1)}
        for name, value in facts.items():
            self.register_buffer(name, value, persistent=False)

    def digits(self, x: Tensor) -> list[Tensor]:
        """Latents [B, D, F] -> digits [B, F, D] of each stage."""
        rest, found = x.transpose(1, 2).double().tanh(), []
        for scale, width in zip(self.scales, self.widths, strict=True):
            found.append(((rest + scale) / width).round())
            rest = rest - (found[-1] * width - scale)
        return found

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        """Latents [B, D, F] -> codes [B, levels, F]."""
        pairs = zip(self.digits(x), self.places, strict=True)
        return torch.stack([joined(digits, places) for digits, places in pairs][:levels], 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, k, F] of the first k stages -> latents [B, D, F] between -1 and 1."""
        parts = zip(codes.unbind(1), self.steps, self.places, self.widths, self.scales, strict=False)
        vectors = [split(code, places, steps) * width - scale for code, steps, places, width, scale in parts]
        return torch.stack(vectors).sum(0).transpose(1, 2)

    def forward(self, x: Tensor, *, generator: torch.Generator | None = None) -> Quantized:
        """Training pass over latents [B, D, F]; nothing here is random."""
        codes, squashed = self.encode(x.detach()), x.tanh()
        return Quantized(squashed + (self.decode(codes) - squashed).detach(), codes, x.new_zeros(()))
