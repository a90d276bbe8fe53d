"""Other versions of a clip, of which a model is told while it writes the clip itself: noisy ones, and one with a second voice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from torch import Tensor

from bench.api import Clip
from bench.data.audio import BadAudio, read_clip, resample, to_channels
from bench.data.manifests import partners
from bench.engine.perturbations import noisy, overlapped

Change = Callable[[Tensor, int, Clip], Tensor]
"""wav [1, C, T], its rate in Hz, its clip -> [1, C, T]. BadAudio where there is none."""


def changes(parts: Iterable[Sequence[Clip]], seed: int) -> Mapping[str, Change]:
    """By name. The second voice is of the same part: no speaker of the test is heard in what is learned from."""
    others = {clip: other for part in parts for clip, other in partners(tuple(part)).items()}
    return {
        "noise_10db": partial(_noisy, snr=10.0, seed=seed),
        "noise_0db": partial(_noisy, snr=0.0, seed=seed),
        "overlap_0db": partial(_talked_over, others=others),
    }


def _noisy(wav: Tensor, rate: int, clip: Clip, snr: float, seed: int) -> Tensor:
    own = hashlib.sha256(f"{seed} {clip.id}".encode()).digest()
    return noisy(wav, snr, int.from_bytes(own[:4]))


def _talked_over(wav: Tensor, rate: int, clip: Clip, others: Mapping[str, Clip]) -> Tensor:
    if clip.id not in others:
        raise BadAudio("no other clip of its part to talk over it")
    other = read_clip(others[clip.id])
    voice = resample(to_channels(other.wav, wav.shape[1]), other.sample_rate, rate)
    return overlapped(wav, voice[None], 0.0)
