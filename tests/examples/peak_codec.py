"""peak_codec.py: 4-bit samples at 8 kHz of a clip divided by its peak, which is sent once an utterance."""

import torch

from bench.api import Codebook, Spec, Variant


class PeakCodec:
    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # codes [B, K, F] and side codes [B, S, 1]
        peak = (wav.abs().amax(-1, keepdim=True) * 255).ceil().clamp(1, 255)
        return ((wav / peak * 255 + 1) * 7.5).round().long().clamp(0, 15), peak.long()

    def decode(self, codes: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
        return (codes / 7.5 - 1) * side / 255


SPEC = Spec("peak_codec", "v", 8_000, (Codebook(16, 8_000),), side=(Codebook(256, rate=0),))
VARIANTS = {"v": Variant(SPEC, PeakCodec)}  # type: ignore[arg-type]  # a bench.api.SideTokenizer
