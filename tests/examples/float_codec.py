"""float_codec.py: 4-bit samples at 8 kHz of a clip without its mean and level, which are sent once as float16."""

import torch

from bench.api import Codebook, Spec, Variant
from bench.nn.side import WORD, codes_to_floats, floats_to_codes


class FloatCodec:
    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        side = floats_to_codes(torch.cat([wav.mean(-1, keepdim=True), wav.std(-1, correction=0, keepdim=True)], 1))  # [B, 2, 1]
        mean, level = codes_to_floats(side).split(1, dim=1)
        return (((wav - mean) / (4 * level).clamp_min(1e-4)).clamp(-1, 1) * 7.5 + 7.5).round().long(), side

    def decode(self, codes: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
        mean, level = codes_to_floats(side).split(1, dim=1)
        return (codes / 7.5 - 1) * (4 * level).clamp_min(1e-4) + mean


SPEC = Spec("float_codec", "v", 8_000, (Codebook(16, 8_000),), side=(Codebook(WORD, rate=0, table="float16"),) * 2)
VARIANTS = {"v": Variant(SPEC, FloatCodec)}  # type: ignore[arg-type]  # a bench.api.SideTokenizer
