"""wide_codec.py: 4-bit samples at 8 kHz, decoded to 16 kHz."""

import torch

from bench.api import Codebook, Spec, Variant


class WideCodec:
    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: torch.Tensor) -> torch.Tensor:
        return ((wav.clamp(-1, 1) + 1) * 7.5).round().long()

    def decode(self, codes: torch.Tensor) -> torch.Tensor:  # twice as many samples
        return (codes / 7.5 - 1).repeat_interleave(2, dim=-1)


SPEC = Spec("wide_codec", "v", 8_000, (Codebook(16, 8_000),), output_rate=16_000)
VARIANTS = {"v": Variant(SPEC, WideCodec)}
