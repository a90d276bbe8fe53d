"""Sound that gives a codec something to code."""

import math

import torch
from torch import Tensor


def swelling(shape: tuple[int, int, int], seed: int) -> Tensor:
    """Noise [B, C, T] at 24 kHz whose loudness rises and falls, so that frames differ."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(shape[-1]) / 24_000
    speed = 1 + 4 * torch.rand(shape[0], 1, 1, generator=generator)
    return torch.randn(shape, generator=generator) * (0.02 + 0.3 * torch.sin(2 * math.pi * speed * time).square())
