"""A first codebook that carries meaning: what it looks up is drawn towards the features of a speech encoder.

Mimi's authors bend the first level's output towards their teacher's features (cosine, through a projection that learns;
arxiv.org/abs/2410.00037, section 3.3). Most of a small teacher's features is the same in every frame, and such a projection finds the rest
wherever the latents hide it, where codes do not follow. Here the numbers that the first level looks up shall themselves be the teacher's,
centred and along their principal axes: then its codes are clusters of meaning. The teacher is any tokenizer of the registry that has
features. It hears every clip once, at the speed of the recording, before the first step; crops that play faster or slower get the
features of the same moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import registry
from bench.api import UserError
from bench.data.audio import resample
from bench.nn.quantize import ResidualQuantizer
from bench.train.codebooks import quantizers
from bench.train.data import Corpus, Track, at_all_speeds, frames_at, recorded, track

DELAY = 0.0125  # seconds from the beginning of a teacher's frame to its middle: all that we have hear 25 ms


@dataclass
class Teaching:
    """The teacher's features [C] of a corpus, their middle [C] and principal axes [C, n], on which their variance is 1 in the mean."""

    features: Track
    middle: Tensor
    axes: Tensor

    def loss(self, points: Tensor, clip: Tensor, offset: Tensor, seconds: float) -> Tensor:
        """The share of the teacher's variance that points [B, D, F] miss: 0 where their first n numbers are the features of the same crops.

        Crop b begins `offset` [B] seconds into clip [B]; of the teacher's frames, each of ours is given the mean of those within it.
        """
        count = round(seconds * self.features.rate)
        moments = offset[:, None] + (torch.arange(count) + 0.5) / self.features.rate
        features = frames_at(self.features, clip, moments).to(points.device).float()
        wanted = F.adaptive_avg_pool1d(((features - self.middle) @ self.axes).transpose(1, 2), points.shape[-1])
        return (points[:, : wanted.shape[1]] - wanted).square().mean()


def teaching(teacher: str, corpus: Corpus, width: int, device: str) -> Teaching:
    """What the teacher makes of the clips of a corpus; `width`: numbers that the first level looks up."""
    variant = registry.variant(teacher)
    rate = variant.spec.sample_rate
    if rate is None:
        raise UserError(f"{teacher} has no rate of its own, and so cannot teach: name another tokenizer with features")
    encoder = registry.load_features(variant, device)

    @torch.inference_mode()
    def features(wav: Tensor) -> Tensor:
        return encoder(resample(wav, corpus.sample_rate, rate).to(device)).half().cpu()

    found = at_all_speeds(track(recorded(corpus), features, variant.spec.frame_rate, DELAY), corpus)
    values = found.values.float()
    middle = values.mean(0)
    spread, axes = torch.linalg.eigh((values - middle).T @ (values - middle) / len(values))
    spread, axes = spread[-width:], axes[:, -width:]
    return Teaching(found, middle.to(device), (axes / spread.mean().sqrt()).to(device))


def first_points(model: nn.Module, latents: Tensor) -> Tensor:
    """Latents [B, W, F] -> what the first level looks up [B, D, F]."""
    part = quantizers(model)[0]
    return part.input_proj(latents) if isinstance(part, ResidualQuantizer) else part.codebooks()[0].in_proj(latents)
