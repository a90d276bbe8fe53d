"""G.711 mu-law: every sample rounded to one of 256 levels, finer near zero. A code is the byte of the standard.

At 16 kHz and not the telephone's 8, so that the wideband columns show its noise and not a missing band.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.api import Codebook, Spec, Variant

SAMPLE_RATE = 16_000
BIAS, CLIP = 132, 32_635  # in 16-bit steps (ITU-T G.711, table 2, scaled from 14 bits)


def levels() -> Tensor:
    """[256] float32: the output of each byte. A byte is inverted; then: sign, 3 bits of segment, 4 bits within the segment."""
    byte = 255 - torch.arange(256)
    segment, step = byte >> 4 & 7, byte & 15
    magnitude = ((step << 3) + BIAS << segment) - BIAS
    return torch.where(byte >= 128, -magnitude, magnitude).float() / 32768


class MuLaw:
    """Stateless: a table each way."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.levels = levels()
        self.segments = 256 << torch.arange(7)  # where segments 1..7 begin, bias included

    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T], clipped to [-1, 1] -> codes [B, 1, T] in 0..255."""
        biased = (wav.abs() * 32768).round().clamp(max=CLIP).long() + BIAS
        segment = torch.bucketize(biased, self.segments.to(wav.device), right=True)
        byte = (segment << 4) + (biased >> segment + 3 & 15)
        return 255 - torch.where(wav < 0, byte + 128, byte)

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, 1, F] -> wav [B, 1, F]."""
        return self.levels.to(codes.device)[codes]


VARIANTS = {
    "8bit": Variant(
        Spec("mulaw", "8bit", SAMPLE_RATE, (Codebook(256, float(SAMPLE_RATE)),), causal=True, source="ITU-T G.711", licence="MIT"),
        MuLaw,
    )
}
