"""runs_codec.py: 4-bit samples at 8 kHz as runs, each a value and how often it comes: frames of varying length."""

import math

import torch

from bench.api import Codebook, Spec, Variant


class RunsCodec:
    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: torch.Tensor) -> torch.Tensor:  # one clip at a time: [1, 1, T] -> [1, 2, F]
        values = ((wav[0, 0].clamp(-1, 1) + 1) * 7.5).round().long()
        parts = torch.stack([values, torch.arange(len(values), device=wav.device) // 256])  # so that no run is longer than 256
        runs, lengths = parts.unique_consecutive(return_counts=True, dim=1)
        return torch.stack([runs[0], lengths - 1])[None]

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return (codes[:, :1] / 7.5 - 1).repeat_interleave(codes[0, 1] + 1, dim=-1)


BOOKS = (Codebook(16, math.nan, role="content"), Codebook(256, math.nan, role="duration"))
VARIANTS = {"v": Variant(Spec("runs_codec", "v", 8_000, BOOKS), RunsCodec)}
