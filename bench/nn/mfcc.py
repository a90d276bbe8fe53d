"""Log-mel energies and mel-frequency cepstra as Kaldi computes them; with their slopes, what HuBERT's first k-means units were made of.

wav [B, 1, T] at 16 kHz -> features [B, F, 39], 100 a second: 13 cepstra (the zeroth first), 13 deltas, 13 deltas of deltas. A frame hears
25 ms from where it starts and none lies partly outside, so F = 1 + (T - 400) // 160. The constants are Kaldi's defaults without dither.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RATE, WINDOW, HOP, FFT = 16_000, 400, 160, 512
MELS, CEPSTRA, LIFTER = 23, 13, 22.0
LOW, HIGH = 20.0, RATE / 2  # Hz
PREEMPHASIS = 0.97
FLOOR = torch.finfo(torch.float32).eps  # of a filter's energy, before the logarithm
SLOPE = 2  # frames to each side that a delta is fitted over


def mel(hertz: Tensor) -> Tensor:
    """Hz -> mel."""
    return 1127 * (1 + hertz / 700).log()


def filters(mels: int = MELS) -> Tensor:
    """[FFT / 2 + 1, mels]: triangles of equal width on the mel scale, each ending in the middle of its neighbours."""
    edges = mel(torch.tensor([LOW, HIGH], dtype=torch.float64))
    width = (edges[1] - edges[0]) / (mels + 1)
    centres = edges[0] + width * torch.arange(1, mels + 1)
    bins = mel(torch.arange(FFT // 2 + 1, dtype=torch.float64) * RATE / FFT)
    weights = (1 - (bins[:, None] - centres).abs() / width).clamp(min=0)
    weights[-1] = 0  # Kaldi leaves the bin at half the sampling rate out
    return weights


def cosines() -> Tensor:
    """[MELS, CEPSTRA]: orthonormal DCT-II, then the lifter that brings the higher cepstra to the size of the lower."""
    k = torch.arange(CEPSTRA, dtype=torch.float64)
    n = torch.arange(MELS, dtype=torch.float64)[:, None]
    basis = torch.cos(math.pi / MELS * (n + 0.5) * k) * math.sqrt(2 / MELS)
    basis[:, 0] = math.sqrt(1 / MELS)
    return basis * (1 + LIFTER / 2 * torch.sin(math.pi * k / LIFTER))


class LogMels(nn.Module):
    """wav [B, T], T >= 400 -> log energies [B, F, mels] of Kaldi's filters."""

    window: Tensor
    filters: Tensor

    def __init__(self, mels: int):
        super().__init__()
        window = torch.hann_window(WINDOW, periodic=False, dtype=torch.float64) ** 0.85  # Povey's
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("filters", filters(mels).float(), persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        frames = wav.unfold(-1, WINDOW, HOP)
        frames = frames - frames.mean(-1, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        power = torch.fft.rfft((frames - PREEMPHASIS * before) * self.window, n=FFT).abs().square()
        return (power @ self.filters).clamp(min=FLOOR).log()


class Mfcc(nn.Module):
    """wav [B, 1, T], any T >= 1 -> [B, F, 39]. T < 400 is filled up with zeros on the right to one frame."""

    cosines: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.energies = LogMels(MELS)
        self.register_buffer("cosines", cosines().float(), persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        cepstra = self.energies(F.pad(wav[:, 0], (0, max(0, WINDOW - wav.shape[-1])))) @ self.cosines
        slopes = delta(cepstra)
        return torch.cat([cepstra, slopes, delta(slopes)], dim=-1)


def delta(x: Tensor) -> Tensor:
    """x [B, F, D] -> the slope of the line fitted through each frame and two to each side; the ends are repeated."""
    padded = F.pad(x.transpose(1, 2), (SLOPE, SLOPE), mode="replicate").transpose(1, 2)
    near = padded[:, SLOPE + 1 : -SLOPE + 1] - padded[:, SLOPE - 1 : -SLOPE - 1]
    far = padded[:, 2 * SLOPE :] - padded[:, : -2 * SLOPE]
    return (near + 2 * far) / 10
