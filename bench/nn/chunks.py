"""A long signal as overlapping chunks that are coded one by one, each with a scale that travels among its codes.

A chunk's codes [K, header + frames] begin with its scale: the 32 bits of a float32, written in base `size` into the first `header`
columns. The last chunk may be short, and where it lies inside the overlap so may be the one before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Chunks:
    """The layout of chunked codes; lengths in samples, `hop` samples per frame."""

    length: int
    stride: int
    hop: int
    levels: int
    size: int  # of each codebook

    @property
    def header(self) -> int:
        """Columns of codes that hold one scale."""
        return math.ceil(32 / (self.levels * math.log2(self.size)) - 1e-9)

    @property
    def columns(self) -> int:
        """Columns of codes of a whole chunk."""
        return self.header + self.frames(self.length)

    @property
    def rate(self) -> float:
        """Columns of codes a sample, in the long run."""
        return self.columns / self.stride

    def frames(self, samples: int) -> int:
        """Frames of a chunk that long."""
        return -(-samples // self.hop)

    def samples(self, total: int) -> list[int]:
        """Length of each chunk of a signal of `total` samples."""
        return [min(self.length, total - start) for start in range(0, total, self.stride)]

    def split(self, columns: int) -> list[int]:
        """Columns of each chunk, from their sum alone; ValueError where no signal has that sum."""
        whole, rest = divmod(columns, self.columns)
        parts = [self.columns] * whole + [rest] * (rest > self.header)
        if whole and rest == self.header:  # no frame left for a last chunk: the last two are one frame short and one frame long
            parts = [*parts[:-1], self.columns - 1, self.header + 1]
        if sum(parts) != columns or not parts:
            raise ValueError(f"no signal has {columns} columns of codes: a chunk has {self.columns}, the last more than {self.header}")
        return parts

    def write_scale(self, scale: Tensor) -> Tensor:
        """Scale [B] float32 -> codes [B, K, header]."""
        bits = scale.contiguous().view(torch.int32).long() & (2**32 - 1)
        digits = [bits // self.size**i % self.size if self.size**i < 2**32 else bits * 0 for i in range(self.levels * self.header)]
        return torch.stack(digits, -1).unflatten(-1, (self.levels, self.header))

    def read_scale(self, codes: Tensor) -> Tensor:
        """The inverse of write_scale; what is no loudness of audio in [-1, 1], as in random codes, becomes the nearest that is."""
        digits = enumerate(codes.flatten(1).unbind(-1))
        bits = sum((digit * self.size**i for i, digit in digits if self.size**i < 2**32), codes.new_zeros(len(codes))) % 2**32
        signed = torch.where(bits >= 2**31, bits - 2**32, bits)
        return signed.to(torch.int32).view(torch.float32).nan_to_num(0).clamp(0, 1)

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
