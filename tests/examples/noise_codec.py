"""noise_codec.py: the loudness of every 10 ms, filled with noise by the decoder: 100 codes a second."""

from collections.abc import Sequence

import torch

from bench.api import Codebook, Spec, Variant


class NoiseCodec:
    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: torch.Tensor) -> torch.Tensor:
        frames = torch.nn.functional.pad(wav, (0, -wav.shape[-1] % 80)).unflatten(-1, (-1, 80))
        return (frames.square().mean(-1).sqrt() * 63).round().long().clamp(0, 63)

    def decode(self, codes: torch.Tensor, seeds: Sequence[int] = ()) -> torch.Tensor:  # a seed for each item
        drawn = [torch.randn(1, codes.shape[-1] * 80, generator=torch.Generator().manual_seed(seed)) for seed in seeds or [0] * len(codes)]
        return torch.stack(drawn) * (codes / 63).repeat_interleave(80, dim=-1)


VARIANTS = {"v": Variant(Spec("noise_codec", "v", 8_000, (Codebook(64, 100),), causal=True, sampled=True), NoiseCodec)}
