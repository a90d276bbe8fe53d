"""A first codebook that carries meaning: its output is drawn towards the features of a speech encoder, as Mimi's authors do.

What the first level of the quantizer gives, through a projection that is not shipped, should point where the teacher's features point
(cosine distance; arxiv.org/abs/2410.00037, section 3.3). The teacher is any tokenizer of the registry that has features. It hears every
clip once, at the speed of the recording, before the first step; crops that play faster or slower get the features of the same moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import registry
from bench.api import UserError
from bench.audio import resample
from bench.nn.quantize import ResidualQuantizer
from bench.train.codebooks import quantizers
from bench.train.data import Corpus, Track, at_all_speeds, frames_at, recorded, track

DELAY = 0.0125  # seconds from the beginning of a teacher's frame to its middle: all that we have hear 25 ms


@dataclass
class Teaching:
    """The teacher's features of a corpus, and the projection [D -> features] that learns to meet them."""

    features: Track
    project: nn.Conv1d

    def loss(self, first: Tensor, clip: Tensor, offset: Tensor, seconds: float) -> Tensor:
        """1 - cosine, mean over the frames, of the first level's output [B, D, F] and the teacher's features of the same crops.

        Crop b begins `offset` [B] seconds into clip [B]; of the teacher's frames, each of ours is given the mean of those within it.
        """
        count = round(seconds * self.features.rate)
        moments = offset[:, None] + (torch.arange(count) + 0.5) / self.features.rate
        wanted = frames_at(self.features, clip, moments).to(first.device).float().transpose(1, 2)
        wanted = F.adaptive_avg_pool1d(wanted, first.shape[-1])
        return 1 - F.cosine_similarity(self.project(first), wanted, dim=1).mean()


def teaching(teacher: str, corpus: Corpus, width: int, device: str) -> Teaching:
    """What the teacher makes of the clips of a corpus; `width`: D of the quantizer's output."""
    variant = registry.variant(teacher)
    rate = variant.spec.sample_rate
    if rate is None:
        raise UserError(f"{teacher} has no rate of its own, and so cannot teach: name another tokenizer with features")
    encoder = registry.load_features(variant, device)

    @torch.inference_mode()
    def features(wav: Tensor) -> Tensor:
        return encoder(resample(wav, corpus.sample_rate, rate).to(device)).half().cpu()

    found = at_all_speeds(track(recorded(corpus), features, variant.spec.frame_rate, DELAY), corpus)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        project = nn.Conv1d(width, found.values.shape[1], 1).to(device)
    return Teaching(found, project)


def first_output(model: nn.Module, latents: Tensor, codes: Tensor | None) -> Tensor:
    """What the first level gives for latents [B, D, F], with a straight-through gradient; without codes [B, K, F], as if it had all."""
    part, latents = quantizers(model)[0], latents.float()
    if isinstance(part, ResidualQuantizer):
        points, out = part.input_proj(latents), part.output_proj
        vectors = None if codes is None else part.codebooks()[0].decode(codes[:, 0]).transpose(1, 2)
    else:
        level = part.codebooks()[0]
        points, out = level.in_proj(latents), level.out_proj
        vectors = None if codes is None else level.vectors(codes[:, 0])
    return out(points if vectors is None else points + (vectors - points).detach())
