"""A long signal as overlapping chunks that are coded one by one.

The last chunk may be short, and where it lies inside the overlap so may be the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Chunks:
    """The layout of chunked codes; lengths in samples, `hop` samples per frame."""

    length: int
    stride: int
    hop: int

    @property
    def rate(self) -> float:
        """Frames a sample, in the long run."""
        return self.frames(self.length) / self.stride

    def frames(self, samples: int) -> int:
        """Frames of a chunk that long."""
        return -(-samples // self.hop)

    def samples(self, total: int) -> list[int]:
        """Length of each chunk of a signal of `total` samples."""
        return [min(self.length, total - start) for start in range(0, total, self.stride)]

    def split(self, frames: int, chunks: int) -> list[int]:
        """Frames of each of so many chunks, from their sum; ValueError where no signal has that sum."""
        whole = self.frames(self.length)
        parts = [whole] * (chunks - 1) + [frames - whole * (chunks - 1)]
        if chunks > 1 and parts[-1] == 0:  # the last chunk lies inside the overlap, and the one before it is a frame short
            parts[-2:] = [whole - 1, 1]
        if chunks < 1 or not 0 < parts[-1] <= whole:
            raise ValueError(f"no signal has {frames} frames in {chunks} chunks of {whole}")
        return parts

    def overlap_add(self, parts: list[Tensor]) -> Tensor:
        """Chunks [B, C, n] laid a stride apart, faded into each other by triangles -> [B, C, T]."""
        # not the last one's end: padded to a frame, the chunk before it may reach further (the authors' code fails on such clips)
        total, length = max(i * self.stride + part.shape[-1] for i, part in enumerate(parts)), parts[0].shape[-1]
        time = torch.linspace(0, 1, length + 2, device=parts[0].device)[1:-1]
        triangle = 0.5 - (time - 0.5).abs()
        out, weight = parts[0].new_zeros(*parts[0].shape[:-1], total), parts[0].new_zeros(total)
        for index, part in enumerate(parts):
            place = slice(index * self.stride, index * self.stride + part.shape[-1])
            out[..., place].addcmul_(part, triangle[: part.shape[-1]])
            weight[place] += triangle[: part.shape[-1]]
        return out / weight
