"""even_codec.py: 8-bit samples at 8 kHz of a clip brought to one loudness, which decode does not undo."""

import torch

from bench.api import Codebook, Spec, Variant


class EvenCodec:
    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: torch.Tensor) -> torch.Tensor:
        even = 0.1 * wav / wav.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-5)
        return ((even.clamp(-1, 1) + 1) * 127.5).round().long()

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return codes / 127.5 - 1


VARIANTS = {"v": Variant(Spec("even_codec", "v", 8_000, (Codebook(256, 8_000),), keeps_level=False), EvenCodec)}
