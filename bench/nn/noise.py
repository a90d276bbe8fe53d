"""Noise that a decoder mixes in: drawn for each item by itself, on the CPU, so that neither a batch nor a device changes it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Noise:
    """A generator for each item of a batch; without seeds, each starts from 0."""

    def __init__(self, seeds: Sequence[int], batch: int):
        if len(seeds) not in (0, batch):
            raise ValueError(f"seeds must be one for each of {batch} items, got {len(seeds)}")
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds or [0] * batch]

    def normal(self, *shape: int, like: Tensor) -> Tensor:
        """[B, *shape] from the standard normal distribution, where `like` is and of its type. A call goes on where the last ended."""
        return torch.stack([torch.randn(shape, generator=generator) for generator in self.generators]).to(like)
