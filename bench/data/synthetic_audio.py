"""Sounds made from a seed, for checks that need no file. wav [B, C, T] float32 in [-1, 1]; lengths in samples, rates in Hz."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def noise(shape: tuple[int, ...], seed: int, level: float = 0.1) -> Tensor:
    """White Gaussian noise of that RMS level."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * level


def voice(shape: tuple[int, int, int], sample_rate: int, seed: int) -> Tensor:
    """Syllables as a vocoder meets them: a gliding pulse train of 90 to 250 Hz and hiss, by turns, with pauses; peak 0.5."""
    generator = torch.Generator().manual_seed(seed)
    batch, channels, length = shape
    count = math.ceil(length / sample_rate * 6) + 2  # six changes a second
    knots = torch.rand(3, batch, channels, count, generator=generator)
    pitch, loud, hissing = (_glide(k, length) for k in knots)
    turns = torch.cumsum((90 + 160 * pitch).double() / sample_rate, dim=-1) % 1
    first = torch.polar(torch.ones_like(pitch), 2 * math.pi * turns.float())  # harmonics are its powers
    pulses, harmonic = torch.zeros_like(pitch), torch.ones_like(first)
    for number in range(1, 1 + min(16, sample_rate // 500)):
        harmonic = harmonic * first
        pulses = pulses + harmonic.real / number**0.7
    hiss = torch.randn(batch, channels, length, generator=generator)
    mix = torch.where(hissing > 0.65, hiss * 0.5, pulses) * (loud - 0.3).clamp(min=0) ** 2
    return 0.5 * mix / mix.abs().amax(dim=-1, keepdim=True).clamp(min=1e-3)


def chirp(length: int, sample_rate: int) -> Tensor:
    """A sweep [1, 1, T] from 50 Hz to nine tenths of the Nyquist frequency, at half of full scale."""
    t = torch.arange(length, dtype=torch.float64) / sample_rate
    slope = (0.45 * sample_rate - 50) / max(float(t[-1]), 1e-3)
    return (0.5 * torch.sin(2 * math.pi * (50 * t + slope * t**2 / 2))).float()[None, None]


def _glide(knots: Tensor, length: int) -> Tensor:
    return torch.nn.functional.interpolate(knots, size=length, mode="linear", align_corners=True)
