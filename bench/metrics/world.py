"""WORLD's spectral envelope, CheapTrick (Morise 2015, doi.org/10.1016/j.specom.2014.09.003), of frames whose pitch is known.

It equals the authors' code, given the same pitch. All in double precision: the lowest levels are far below float32's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOWEST = 71.0  # Hz: the pitch that sets the size of the transform
UNVOICED = 500.0  # Hz, in place of a pitch where there is none
RECOVERY = -0.15  # q1 of the paper
FLOOR = 1e-16  # of a power: digital silence has a flat spectrum


def size_of(sample_rate: int) -> int:
    """Points of the Fourier transform."""
    return 2 ** (1 + int(math.log2(3 * sample_rate / LOWEST + 1)))


def cepstra(wav: Tensor, f0: Tensor, times: Tensor, sample_rate: int) -> Tensor:
    """wav [T], Hz (0 where unvoiced) and seconds of each frame [F] -> c [F, N // 2 + 1] with ln power = c0 + 2 sum c_m cos(m w)."""
    size, wav = size_of(sample_rate), wav.double()
    f0 = torch.where(f0 > 3 * sample_rate / (size - 3), f0, UNVOICED)
    power = torch.fft.rfft(_windowed(wav, f0, times, sample_rate), size).abs().square()
    smooth = _smoothed(_with_fundamental(power, f0, sample_rate / size), f0, sample_rate / size)
    angle = math.pi * f0[:, None] * torch.arange(size // 2 + 1) / sample_rate
    lifter = torch.sinc(angle / math.pi) * ((1 - 2 * RECOVERY) + 2 * RECOVERY * torch.cos(2 * angle))
    return torch.fft.irfft((smooth + FLOOR).log(), size)[:, : size // 2 + 1] * lifter


def _windowed(wav: Tensor, f0: Tensor, times: Tensor, sample_rate: int) -> Tensor:
    """Three periods about each time [F, samples], of unit energy in the window, without a mean; the ends of the wav go on as they are."""
    half = (1.5 * sample_rate / f0 + 0.5).floor()[:, None]
    offset = torch.arange(-int(half.max()), int(half.max()) + 1)
    window = (0.5 * torch.cos(math.pi / 1.5 / sample_rate * offset * f0[:, None]) + 0.5) * (offset.abs() <= half)
    window = window / window.square().sum(-1, keepdim=True).sqrt()
    middle = (times * sample_rate + 0.501).floor().long()
    frames = wav[(middle[:, None] + offset).clamp(0, len(wav) - 1)] * window
    return frames - window * (frames.sum(-1, keepdim=True) / window.sum(-1, keepdim=True))


def _with_fundamental(power: Tensor, f0: Tensor, step: float) -> Tensor:
    """Power [F, bins], `step` Hz apart, to which what lies below the pitch is added from its mirror image there."""
    bins = torch.arange(power.shape[-1])
    mirrored = _at(power, (f0[:, None] / step - bins).clamp(min=0))
    return power + mirrored * (bins <= (f0[:, None] / step).floor())


def _smoothed(power: Tensor, f0: Tensor, step: float) -> Tensor:
    """Mean of the power over two thirds of the pitch about each bin."""
    width = f0[:, None] * 2 / 3 / step
    more = int(width.max()) + 2
    whole = torch.cat([power[:, 1 : more + 1].flip(-1), power, power[:, -more - 1 : -1].flip(-1)], -1).cumsum(-1)
    low = torch.arange(power.shape[-1]) - width / 2 + more - 0.5
    return (_at(whole, low + width) - _at(whole, low)) / width


def _at(values: Tensor, places: Tensor) -> Tensor:
    """values [F, N] between bins [F, M]."""
    left = places.floor().clamp(0, values.shape[-1] - 2).long()
    a, b = values.gather(-1, left), values.gather(-1, left + 1)
    return a + (b - a) * (places - left)
