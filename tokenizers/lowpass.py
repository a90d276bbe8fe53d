"""A 3.5 kHz low-pass, the band of a telephone line: the cost of losing everything above. Encode filters, without a delay."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.api import Codebook, Spec, Variant
from bench.nn.samples import SIZE, to_codes, to_wav

SAMPLE_RATE = 24_000
CUTOFF = 3_500.0  # Hz, the middle of the transition band (-6 dB)
TRANSITION = 200.0  # Hz from passband to stopband
ATTENUATION = 90.0  # dB in the stopband
GRID = 2.0**24  # FFT rounding far below this step would otherwise make the last bits differ from machine to machine


def kernel() -> Tensor:
    """Linear-phase FIR [N] float64, N odd: a sinc under a Kaiser window (length and beta: Kaiser 1974), unit gain at 0 Hz."""
    half = math.ceil((ATTENUATION - 7.95) / (2.285 * 2 * math.pi * TRANSITION / SAMPLE_RATE) / 2)
    beta = 0.1102 * (ATTENUATION - 8.7)
    n = torch.arange(-half, half + 1, dtype=torch.float64)
    taps = torch.sinc(2 * CUTOFF / SAMPLE_RATE * n) * torch.kaiser_window(2 * half + 1, False, beta, dtype=torch.float64)
    return taps / taps.sum()


class LowPass:
    """Filters, then keeps every float32 sample."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.kernel = kernel()

    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> codes [B, 1, T]."""
        length, taps = wav.shape[-1], self.kernel.to(wav.device)
        size = 1 << (length + len(taps) - 2).bit_length()  # >= T + N - 1, so that the product of spectra is no circular convolution
        filtered = torch.fft.irfft(torch.fft.rfft(wav.double(), size) * torch.fft.rfft(taps, size), size)
        filtered = filtered[..., len(taps) // 2 :][..., :length]
        rounded = (filtered * GRID).round() / GRID + 0.0  # + 0.0: no negative zeros, whose sign would be left to chance
        return to_codes(rounded.float())

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, 1, F] -> wav [B, 1, F]."""
        return to_wav(codes)


VARIANTS = {
    "3500hz": Variant(
        Spec("lowpass", "3500hz", SAMPLE_RATE, (Codebook(SIZE, float(SAMPLE_RATE)),), source="anchor: Kaiser-windowed FIR", licence="MIT"),
        LowPass,
    )
}
