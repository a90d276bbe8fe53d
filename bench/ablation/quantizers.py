"""The quantizers of `bench.nn` behind one interface, and how each begins: by the latents of a network that was trained without one.

Latents [B, W, F] <-> codes [B, K, F / slowest stride]. Every one begins with the best that it can do in the latents as they are (k-means,
principal axes), so that what is compared is the quantizer, and not the luck of its first steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.ablation.designs import GROUPS, STEPS, Design
from bench.nn.factorised import FactorisedCodebook, FactorisedQuantizer
from bench.nn.finite_scalar import FiniteScalarQuantizer
from bench.nn.multiscale import MultiScaleQuantizer
from bench.nn.quantize import Quantized, ResidualQuantizer, SplitQuantizer
from bench.nn.quantizers import BinarySphericalQuantizer, GroupQuantizer, ProductQuantizer
from bench.train import codebooks

FEW = 8  # dimensions that factorised and multi-scale codes are looked up in
REACH = 0.8  # mean size of a normal number of unit variance, and about the place of the outer steps of a squashed one


class Scalars(FiniteScalarQuantizer):
    """Finite scalars as a part."""

    @property
    def dimensions(self) -> int:
        return len(self.steps)

    def zero(self) -> Tensor:
        """What stands in the middle of all steps [d]: of an even number it is no step, and the quantizer moves it to the next one."""
        half = (self.steps - 1) / 2
        return -torch.atanh((self.steps // 2 - half) / (half + 0.5 - 1e-3))

    @torch.no_grad()
    def begin(self, axes: Tensor, spread: Tensor, middle: Tensor) -> None:
        assert self.input_proj.bias is not None and self.output_proj.bias is not None
        self.input_proj.weight.copy_((axes / spread).T[..., None])
        self.output_proj.weight.copy_((axes * spread / REACH)[..., None])
        self.output_proj.bias.copy_(middle)


class Signs(nn.Module):
    """Binary spherical codes between projections, as a part."""

    def __init__(self, bits: int, width: int):
        super().__init__()
        self.dimensions = bits
        self.inner = BinarySphericalQuantizer(bits)
        self.input_proj, self.output_proj = nn.Conv1d(width, bits, 1), nn.Conv1d(bits, width, 1)

    def zero(self) -> Tensor:
        """What stands in the middle of all codes [d]."""
        return torch.zeros(self.dimensions)

    def encode(self, x: Tensor) -> Tensor:
        return self.inner.encode(self.input_proj(x))

    def decode(self, codes: Tensor) -> Tensor:
        return self.output_proj(self.inner.decode(codes))

    def forward(self, x: Tensor) -> Quantized:
        found = self.inner(self.input_proj(x))
        return Quantized(self.output_proj(found.x), found.codes, found.loss)

    @torch.no_grad()
    def begin(self, axes: Tensor, spread: Tensor, middle: Tensor) -> None:
        assert self.input_proj.bias is not None and self.output_proj.bias is not None
        self.input_proj.weight.copy_((axes / spread).T[..., None])
        self.output_proj.weight.copy_((axes * spread * REACH * self.dimensions**0.5)[..., None])
        self.output_proj.bias.copy_(middle)


class Parallel(nn.Module):
    """Several codes of one frame, each from dimensions of its own; what they stand for adds up."""

    def __init__(self, parts: Sequence[Scalars | Signs]):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        """Latents -> codes [B, K, F]; they need each other."""
        return torch.cat([part.encode(x) for part in self._each()], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes -> latents."""
        return torch.stack([part.decode(code) for part, code in zip(self._each(), codes.split(1, dim=1), strict=True)]).sum(0)

    def forward(self, x: Tensor, *, generator: torch.Generator | None = None) -> Quantized:
        """Training pass; nothing here is random."""
        found = [part(x) for part in self._each()]
        codes, loss = torch.cat([one.codes for one in found], dim=1), torch.stack([one.loss for one in found]).mean()
        return Quantized(torch.stack([one.x for one in found]).sum(0), codes, loss)

    @torch.no_grad()
    def begin(self, latents: Tensor) -> None:
        """Principal axes go round: each part has some of the large ones and some of the small."""
        points = codebooks.flat(latents)
        middle = points.mean(0)
        values, axes = torch.linalg.eigh((points - middle).T @ (points - middle) / len(points))
        axes, spread = axes.flip(1), values.flip(0).clamp(min=1e-8).sqrt()
        parts = self._each()
        for i, part in enumerate(parts):
            own = torch.arange(i, i + part.dimensions * len(parts), len(parts)) % axes.shape[1]
            part.begin(axes[:, own], spread[own], torch.zeros_like(middle) if i else middle)
            assert part.input_proj.bias is not None
            part.input_proj.bias.copy_(part.zero().to(middle) - (middle @ axes[:, own]) / spread[own])

    def _each(self) -> list[Scalars | Signs]:
        return [part for part in self.parts if isinstance(part, Scalars | Signs)]


class Scales(MultiScaleQuantizer):
    """The multi-scale quantizer with the interface of the others; latents must be whole slow frames."""

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        return super().encode(x)

    @torch.no_grad()
    def begin(self, latents: Tensor, generator: torch.Generator) -> None:
        rest = latents
        for level, stride in zip(self.codebooks(), self.strides, strict=True):
            assert isinstance(level, FactorisedCodebook)  # these have projections
            slow = F.avg_pool1d(rest, stride)
            codebooks.start_level(level, slow, generator)
            rest = rest - level.out_proj(level.vectors(level.nearest(level.in_proj(slow)))).repeat_interleave(stride, dim=-1)


class Unquantized(nn.Module):
    """No quantizer: what the network before it learns with."""

    def forward(self, x: Tensor, *, generator: torch.Generator | None = None) -> Quantized:
        """Latents as they are."""
        return Quantized(x, torch.zeros(len(x), 0, x.shape[-1], dtype=torch.int64), x.new_zeros(()))

    def encode(self, x: Tensor, levels: int | None = None) -> Tensor:
        raise ValueError("a network without a quantizer has no codes")

    def decode(self, codes: Tensor) -> Tensor:
        raise ValueError("a network without a quantizer has no codes")


AnyQuantizer = (
    ResidualQuantizer | SplitQuantizer | GroupQuantizer | ProductQuantizer | FactorisedQuantizer | Scales | Parallel | Unquantized
)


def built(design: Design, width: int) -> AnyQuantizer:
    """The quantizer of a design for latents of that width."""
    levels, size = design.levels, design.size
    match design.quantizer:
        case "rvq" | "vq":
            return ResidualQuantizer(levels, size, width, 0)
        case "split":
            return SplitQuantizer(levels, size, width, width)
        case "group":
            return GroupQuantizer(GROUPS, levels // GROUPS, size, 0, width)
        case "product":
            return ProductQuantizer(levels, size, width, width)
        case "factorised":
            return FactorisedQuantizer(levels, size, FEW, width)
        case "multi-scale":
            return Scales(design.strides, size, FEW, width)
        case "fsq":
            return Parallel([Scalars(STEPS[size], width) for _ in range(levels)])
        case "bsq":
            return Parallel([Signs(size.bit_length() - 1, width) for _ in range(levels)])
        case other:
            raise ValueError(f"no quantizer {other!r}")


@torch.no_grad()
def begin(quantizer: nn.Module, latents: Tensor, generator: torch.Generator) -> None:
    """Its first codebooks and projections, from latents [N, W, F] of crops."""
    match quantizer:
        case ResidualQuantizer() | FactorisedQuantizer():
            codebooks.start(quantizer, latents, generator)
        case SplitQuantizer():
            for part in (quantizer.rvq_first, quantizer.rvq_rest):
                _identity(part.input_proj)
                _identity(part.output_proj, 0.5)  # each quantizes all of the latents, and their outputs add up
            codebooks.start(quantizer, latents, generator)
        case GroupQuantizer():
            for part, piece in zip(quantizer.parts(), latents.chunk(len(quantizer.groups), dim=1), strict=True):
                codebooks.start(part, piece, generator)
        case ProductQuantizer():
            _identity(quantizer.input_proj)
            _identity(quantizer.output_proj)
            for book, piece in zip(quantizer.codebooks(), latents.chunk(len(quantizer.layers), dim=1), strict=True):
                book.start(codebooks.flat(piece), generator)
        case Scales():
            quantizer.begin(latents, generator)
        case Parallel():
            quantizer.begin(latents)


def _identity(layer: nn.Module, gain: float = 1.0) -> None:
    """A 1x1 convolution of as many channels out as in becomes a plain gain."""
    assert isinstance(layer, nn.Conv1d) and layer.weight.shape[0] == layer.weight.shape[1]
    layer.weight.copy_(gain * torch.eye(layer.weight.shape[0])[..., None])
