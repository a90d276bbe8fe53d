"""Streams fed with pieces, for tests of codecs that work piece by piece."""

import torch
from torch import Tensor

from bench.api import Stream
from bench.nn.conv import Memory


def fed(stream: Stream, x: Tensor, sizes: list[int]) -> Tensor:
    """The whole output for input x cut into pieces of the given sizes, over and over."""
    outputs, start, turn = [], 0, 0
    while start < x.shape[-1]:
        size = sizes[turn % len(sizes)]
        outputs.append(stream.feed(x[..., start : start + size]))
        start, turn = start + size, turn + 1
    return torch.cat([*outputs, stream.flush()], dim=-1)


def bytes_of(memory: Memory) -> int:
    """What a stream's memory takes."""
    return sum(tensor.untyped_storage().nbytes() for tensors in memory.values() for tensor in tensors)


def swelling_noise(batch: int, samples: int, seed: int = 0, channels: int = 1, swell: float = 0.2) -> Tensor:
    """[batch, channels, samples] at 24 kHz, whose loudness rises and falls."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(samples) / 24_000
    return torch.randn(batch, channels, samples, generator=generator) * (0.05 + swell * torch.sin(12 * time).square())
