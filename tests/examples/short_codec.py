"""short_codec.py: 12-bit samples at 16 kHz, in clips of 1 s at most, whose decoder needs 50 ms to start."""

import torch

from bench.api import Codebook, Spec, Variant


class ShortCodec:
    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: torch.Tensor) -> torch.Tensor:
        if wav.shape[-1] > 16_000:
            raise ValueError(f"positions end at 1 s, and {wav.shape[-1]} samples were given")
        return ((wav.clamp(-1, 1) + 1) * 2047).round().long()

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return (codes / 2047 - 1) * (torch.arange(codes.shape[-1]) / 800).clamp(max=1)


SPEC = Spec("short_codec", "v", 16_000, (Codebook(4095, 16_000),), causal=True, longest=1.0, context=0.1)
VARIANTS = {"v": Variant(SPEC, ShortCodec)}
