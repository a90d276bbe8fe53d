"""Units: the number of the centroid nearest to each feature vector. wav [B, 1, T] -> features [B, F, D] -> codes [B, 1, F]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.nn.checks import require_wav
from bench.nn.quantize import nearest

if TYPE_CHECKING:
    from bench.api import Spec


class Units(nn.Module):
    """A tokenizer that only encodes: `features` (wav [B, 1, T] -> [B, F, D]) and a codebook of centroids [size, D]."""

    centroids: Tensor
    half_norms: Tensor

    def __init__(self, spec: Spec, features: nn.Module, dimension: int):
        super().__init__()
        self.spec, self.features = spec, features
        self.register_buffer("centroids", torch.zeros(spec.codebooks[0].size, dimension))
        self.register_buffer("half_norms", torch.zeros(spec.codebooks[0].size), persistent=False)

    def set_centroids(self, centroids: Tensor) -> None:
        """Take these [size, D]; a ValueError if they are of another shape."""
        if centroids.shape != self.centroids.shape:
            size, dimension = self.centroids.shape
            raise ValueError(f"{size} centroids of {dimension} values are needed, there are {list(centroids.shape)}")
        self.centroids.copy_(centroids)
        self.half_norms.copy_(centroids.double().square().sum(-1) / 2)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T], any T >= 1 -> codes [B, 1, F]."""
        require_wav(wav)
        features = self.features(wav)
        return nearest(features.flatten(0, 1), self.centroids, self.half_norms).unflatten(0, features.shape[:2])[:, None]

    def decode(self, codes: Tensor) -> Tensor:
        """There is none: units say what was spoken, not how it sounded."""
        raise ValueError(f"{self.spec.label} gives tokens only and cannot decode")

    @torch.no_grad()
    def sow(self, seed: int, rate: int) -> None:
        """Centroids among the features of a seeded sound, for an untrained network: those drawn anywhere would leave most codes unused."""
        generator = torch.Generator().manual_seed(seed)
        size = len(self.centroids)
        # ten changes of loudness, colour and pitch a second; at least two and a half features for each centroid
        changes = 4 + max(size // 2, int(25 * size / self.spec.codebooks[0].rate))
        swell, tilt, hum, pitch = torch.rand(4, changes, generator=generator).repeat_interleave(rate // 10, dim=1)
        noise = torch.randn(swell.shape, generator=generator) * swell**3
        buzz = (torch.arange(len(pitch)) * (0.005 + 0.02 * pitch)) % 1 - 0.5
        wav = noise + (2 * tilt - 1) * noise.roll(1) + hum**3 * buzz
        features = self.features(wav[None, None])[0]
        chosen = torch.randperm(len(features), generator=generator)[:size]
        self.set_centroids(features[chosen])
