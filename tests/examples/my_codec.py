"""my_codec.py: samples rounded to learned levels, at 8 kHz."""

import torch
from safetensors.torch import load_file

from bench.api import Checkpoint, Codebook, Spec, Variant


class MyCodec(torch.nn.Module):
    def __init__(self, spec: Spec, weights: str):
        super().__init__()
        self.spec = spec
        self.levels = torch.nn.Parameter(load_file(weights)["levels"])  # [16]

    def encode(self, wav: torch.Tensor) -> torch.Tensor:  # [B, 1, T] float32 in [-1, 1] -> codes [B, K, F] int64
        return (wav[..., None] - self.levels).abs().argmin(-1)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:  # from the codes and nothing else -> [B, 1, T]
        return self.levels[codes]


SPEC = Spec("my_codec", "16levels", sample_rate=8_000, codebooks=(Codebook(size=16, rate=8_000),))
VARIANTS = {"16levels": Variant(SPEC, MyCodec, Checkpoint("my_codec.safetensors"))}  # a file beside this one, or --weights FILE
