"""The audio that is timed: clips of the data one after the other, at the tokenizer's rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import Clip, Domain, Spec, UserError
from bench.data.audio import BadAudio, read_clip, resample, to_channels

ENOUGH = 120.0  # s; longer batches begin again from the start


@dataclass(frozen=True)
class Material:
    """Real audio [C, T] at `rate`, of one domain."""

    wav: Tensor
    rate: int
    domain: Domain

    def cut(self, batch: int, seconds: float) -> Tensor:
        """[batch, C, seconds x rate], each item from another place; audio that is shorter repeats."""
        length, total = round(seconds * self.rate), self.wav.shape[-1]
        starts = torch.arange(batch) * total // batch
        return torch.stack([self.wav[:, (start + torch.arange(length)) % total] for start in starts])


def material(clips: Sequence[Clip], spec: Spec) -> Material:
    """Of speech where there is any, of the first clip's domain elsewhere."""
    domain: Domain = "speech" if any(clip.domain == "speech" for clip in clips) else clips[0].domain
    pieces: list[Tensor] = []
    rate, seconds, why = spec.sample_rate or 0, 0.0, ""
    for clip in clips:
        if clip.domain != domain or seconds >= ENOUGH:
            continue
        try:
            audio = read_clip(clip)
        except BadAudio as error:
            why = str(error)
            continue
        rate = rate or audio.sample_rate  # a tokenizer of any rate takes that of the first clip
        pieces.append(resample(to_channels(audio.wav, spec.channels), audio.sample_rate, rate))
        seconds += audio.wav.shape[-1] / audio.sample_rate
    if not pieces:
        raise UserError(f"no clip of the data can be read ({why}): give other data with --data")
    return Material(torch.cat(pieces, dim=-1), rate, domain)
