"""Cross-scale residual quantizer (Gu and Diao 2024, arxiv.org/abs/2404.19441): each level at its own scale, between layers of the decoder.

The coarsest level quantizes the encoder's last features; each later one what the decoder, with the levels before, lacks of the encoder's
features at the scale that it has reached. Features are maps [B, H, T, C] of H bands. A level looks `overlap` columns up at once, cut into
parts, each by direction in a few dimensions: codes [B, K, T / overlap], all parts of a level before those of the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.nn.factorised import COMMITMENT, FactorisedCodebook
from bench.nn.quantize import Quantized


class MapQuantizer(nn.Module):
    """One level: maps [B, bands, T, width] <-> codes [B, parts, T / overlap]; T must be a multiple of the overlap."""

    def __init__(self, bands: int, width: int, overlap: int, parts: int, size: int, dimension: int):
        super().__init__()
        whole = bands * width * overlap
        if whole % parts:
            raise ValueError(f"{parts} parts must divide the {whole} numbers of {overlap} columns")
        self.bands, self.overlap = bands, overlap
        self.layers = nn.ModuleList(FactorisedCodebook(size, dimension, whole // parts, bias=False) for _ in range(parts))

    def codebooks(self) -> list[FactorisedCodebook]:
        return [layer for layer in self.layers if isinstance(layer, FactorisedCodebook)]

    def pieces(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps -> what each codebook quantizes, [B, W, T / overlap]."""
        columns = x.permute(0, 2, 3, 1).flatten(2)  # [B, T, width * bands]
        return columns.unflatten(1, (-1, self.overlap)).flatten(2).transpose(1, 2).chunk(len(self.layers), dim=1)

    def joined(self, pieces: list[Tensor]) -> Tensor:
        """The other way."""
        columns = torch.cat(pieces, dim=1).transpose(1, 2).unflatten(2, (self.overlap, -1)).flatten(1, 2)
        return columns.unflatten(2, (-1, self.bands)).permute(0, 3, 1, 2)

    def encode(self, x: Tensor) -> Tensor:
        """Maps -> codes."""
        pairs = zip(self.codebooks(), self.pieces(x), strict=True)
        return torch.stack([book.nearest(book.in_proj(piece)) for book, piece in pairs], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes -> maps."""
        pairs = zip(self.codebooks(), codes.unbind(1), strict=True)
        return self.joined([book.out_proj(book.vectors(code)) for book, code in pairs])

    def forward(self, x: Tensor) -> Quantized:
        """Training pass over maps: gradients pass straight through the lookup, codebooks learn by gradient."""
        made, codes, loss = [], [], x.new_zeros(())
        for book, piece in zip(self.codebooks(), self.pieces(x), strict=True):
            points = book.in_proj(piece)
            code = book.nearest(points.detach())
            vectors = book.vectors(code)
            loss = loss + (vectors - points.detach()).square().mean() + COMMITMENT * (points - vectors.detach()).square().mean()
            made.append(book.out_proj(points + (vectors - points).detach()))
            codes.append(code)
        return Quantized(self.joined(made), torch.stack(codes, 1), loss / len(codes))


class CrossScaleQuantizer(nn.Module):
    """The levels, from the coarsest to the finest, and `steps`: layers of the decoder, each from one level's scale to the next one's.

    `scales`: bands and width of each level's maps. The first two levels share one scale: no step lies between them.
    """

    def __init__(self, scales: Sequence[tuple[int, int]], steps: Sequence[nn.Module], overlap: int, parts: int, size: int, dimension: int):
        super().__init__()
        if len(steps) != len(scales) - 1 or scales[0] != scales[1]:
            raise ValueError(f"{len(scales)} levels need {len(scales) - 1} steps and one scale for the first two, got {scales}")
        self.parts = parts
        self.layers = nn.ModuleList(MapQuantizer(*scale, overlap, parts, size, dimension) for scale in scales)
        self.steps = nn.ModuleList(steps)

    def levels(self) -> list[MapQuantizer]:
        return [layer for layer in self.layers if isinstance(layer, MapQuantizer)]

    def depth(self, codes: int) -> int:
        """Levels of so many codes per frame. ValueError where they are no whole levels."""
        depth, left = divmod(codes, self.parts)
        if left or not 1 <= depth <= len(self.layers):
            raise ValueError(f"{len(self.layers)} levels of {self.parts} codes cannot have {codes} codes per frame")
        return depth

    def encode(self, features: Sequence[Tensor], codes: int) -> Tensor:
        """The encoder's maps of each scale, the coarsest first -> the first codes [B, codes, F]."""
        first, *others = self.levels()[: self.depth(codes)]
        found = [first.encode(features[0])]
        x = first.decode(found[0])
        for i, level in enumerate(others):
            found.append(level.encode(features[i] - x))
            if i + 1 < len(others):
                x = self.steps[i](x + level.decode(found[-1]))
        return torch.cat(found, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, k, F] of the first levels -> the decoder's map behind the last step."""
        parts = codes.split(self.parts, dim=1)
        levels = self.levels()[: self.depth(codes.shape[1])]
        x = levels[0].decode(parts[0])
        for i, step in enumerate(self.steps):
            x = step(x + levels[i + 1].decode(parts[i + 1]) if i + 1 < len(levels) else x)
        return x

    @torch.no_grad()
    def scatter(self, features: Sequence[Tensor], generator: torch.Generator) -> None:
        """Codebooks at random, each around what reaches it of these maps: for a network that is not trained."""
        x = torch.zeros_like(features[0])
        for i, level in enumerate(self.levels()):
            rest = features[max(i - 1, 0)] - x
            for book, piece in zip(level.codebooks(), level.pieces(rest), strict=True):
                points = book.in_proj(piece)
                spread = torch.randn(book.codebook.weight.shape, generator=generator).to(points.device)
                book.codebook.weight.copy_(points.mean((0, 2)) + points.std((0, 2)) * spread)
            x = x + level.decode(level.encode(rest))
            x = self.steps[i - 1](x) if i else x

    def forward(self, features: Sequence[Tensor], codes: int | None = None) -> Quantized:
        """Training pass: as decode of encode, with gradients; `x` is the map behind the last step."""
        levels = self.levels()[: len(self.layers) if codes is None else self.depth(codes)]
        made = [levels[0](features[0])]
        x = made[0].x
        for i, step in enumerate(self.steps):
            if i + 1 < len(levels):
                made.append(levels[i + 1](features[i] - x))
                x = x + made[-1].x
            x = step(x)
        return Quantized(x, torch.cat([one.codes for one in made], dim=1), torch.stack([one.loss for one in made]).mean())
