"""What may happen to audio before it reaches a tokenizer. wav [..., T] -> [..., T], float32 in [-1, 1] like the audio of any clip."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.data import synthetic_audio
from bench.data.audio import resample


def within(wav: Tensor) -> Tensor:
    """What lies beyond full scale is cut, as a file or a sound card would."""
    return wav.clamp(-1, 1)


def louder(wav: Tensor, db: float) -> Tensor:
    """By so many dB."""
    return within(wav * 10 ** (db / 20))


def noisy(wav: Tensor, snr: float, seed: int) -> Tensor:
    """White Gaussian noise added, `snr` dB below the power of the whole clip; one seed, one noise, whatever its level."""
    level = float(wav.square().mean().sqrt()) * 10 ** (-snr / 20)
    return within(wav + synthetic_audio.noise(tuple(wav.shape), seed, level))


def overlapped(wav: Tensor, voice: Tensor, softer: float) -> Tensor:
    """Another's audio [1, C, T'] added, begun again where it is shorter, its power over the clip `softer` dB below the clip's own."""
    other = voice.repeat(1, 1, -(-wav.shape[-1] // voice.shape[-1]))[..., : wav.shape[-1]]
    own, found = (float(x.square().mean().sqrt()) for x in (wav, other))
    return within(wav + other * (own / found * 10 ** (-softer / 20) if found else 0.0))


def narrow(wav: Tensor, sample_rate: int, band: int) -> Tensor:
    """Nothing above `band` Hz: down to twice that rate and back."""
    there = resample(resample(wav, sample_rate, 2 * band), 2 * band, sample_rate)
    return within(torch.nn.functional.pad(there, (0, wav.shape[-1] - there.shape[-1])))


def overloaded(wav: Tensor, db: float) -> Tensor:
    """Cut off `db` dB below the clip's peak."""
    ceiling = float(wav.abs().max()) * 10 ** (-db / 20)
    return wav.clamp(-ceiling, ceiling)
