"""A speaker in a few codes: mel magnitudes of the first seconds, ECAPA-TDNN, a perceiver, finite scalar quantization (BiCodec,
arxiv.org/abs/2503.01710). Not causal: every code hears all of these seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.metrics.mel import mel_filters, power_spectra
from bench.nn.ecapa import EcapaFrames
from bench.nn.finite_scalar import SHIFTED, FiniteScalarQuantizer
from bench.nn.perceiver import Resampler

RATE, HOP = 16_000, 320
REFERENCE = 6 * RATE  # samples that are heard; a shorter clip is repeated
FFT, MEL_WINDOW, MEL_LOWEST = 1024, 640, 10.0  # samples, samples, Hz


@dataclass(frozen=True)
class SpeakerShape:
    """The network as data."""

    mels: int = 128
    width: int = 512  # of ECAPA-TDNN's blocks
    frames: int = 1536  # channels that it gives
    squeezed: int = 128
    summary: int = 128  # dimensions of each of the perceiver's vectors
    vectors: int = 32
    heads: int = 8
    steps: tuple[int, ...] = (4,) * 6  # of the dimensions in which a vector is quantized


class SpeakerCodes(nn.Module):
    """wav [B, 1, T] of one loudness -> side codes [B, N, 1] -> a vector [B, D]."""

    window: Tensor
    filters: Tensor

    def __init__(self, shape: SpeakerShape, outputs: int):
        super().__init__()
        around = (FFT - MEL_WINDOW) // 2
        self.register_buffer("window", F.pad(torch.hann_window(MEL_WINDOW), (around, around)), persistent=False)
        self.register_buffer("filters", mel_filters(RATE, FFT, shape.mels, lowest=MEL_LOWEST), persistent=False)
        self.ecapa = EcapaFrames(shape.mels, shape.width, shape.frames, shape.squeezed)
        self.resampler = Resampler(shape.frames, shape.summary, shape.vectors, layers=2, heads=shape.heads)
        self.quantizer = FiniteScalarQuantizer(shape.steps, shape.summary, SHIFTED)
        self.project = nn.Linear(shape.summary * shape.vectors, outputs)

    def summary(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> what is quantized [B, D, N]."""
        heard = wav[..., :REFERENCE] if wav.shape[-1] >= REFERENCE else wav.tile(REFERENCE // wav.shape[-1] + 1)[..., :REFERENCE]
        frames = F.pad(heard, (FFT // 2, FFT // 2), mode="reflect")[:, 0].unfold(-1, FFT, HOP)
        return self.resampler(self.ecapa((power_spectra(frames * self.window).sqrt() @ self.filters).transpose(1, 2)))

    def encode(self, wav: Tensor) -> Tensor:
        """wav -> side codes."""
        return self.quantizer.encode(self.summary(wav)).transpose(1, 2)

    def decode(self, side: Tensor) -> Tensor:
        """Side codes -> the vector."""
        return self.project(self.quantizer.decode(side.transpose(1, 2)).flatten(1))
