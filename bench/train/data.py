"""Training audio, packed once into memory: 16-bit samples at the model's rate, cut into crops at random.

A crop depends on the corpus, the seed and the step alone, so that a run that was stopped goes on with the very crops it would have seen.
Held-out clips belong to speakers of whom no crop is ever made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import Clip, UserError
from bench.audio import read_clip, resample, to_channels


@dataclass(frozen=True)
class Augment:
    """How crops differ from the recordings: gain in dB, playing speeds (pitch goes along), and a made-up band above 8 kHz."""

    gain: tuple[float, float] = (-10.0, 3.0)
    speeds: tuple[float, ...] = (0.89, 1.0, 1.12)
    image: float = 0.4  # share of crops of 16 kHz recordings that get one: else the model would take every wide-band voice for noise
    image_gain: tuple[float, float] = (-18.0, -4.0)


@dataclass(frozen=True)
class Corpus:
    """Clips end to end: `wav` and `image` int16 [N], clip i at starts[i] .. starts[i] + lengths[i]; `heldout` are float32 [T]."""

    wav: Tensor
    image: Tensor
    starts: Tensor
    lengths: Tensor
    heldout: tuple[Tensor, ...]


def mono(clip: Clip, sample_rate: int, speed: float = 1.0) -> tuple[Tensor, Tensor]:
    """A clip [T] at `sample_rate`, and the same with 4..8 kHz mirrored to 8..12 kHz (zeros unless the recording ends at 8 kHz)."""
    audio = read_clip(clip)
    wav = to_channels(audio.wav, 1)[0]
    rate = round(audio.sample_rate * speed)
    plain = resample(wav, rate, sample_rate)
    if audio.sample_rate != 16_000 or sample_rate < 24_000:
        return plain, torch.zeros_like(plain)
    high = resample(wav, rate, 2 * sample_rate)
    turns = torch.arange(len(high), dtype=torch.float64) * (rate / (2 * sample_rate))  # of a carrier at the recording's own rate
    image = resample(high * (2 * torch.cos(2 * math.pi * turns)).float(), 2 * sample_rate, sample_rate)
    return plain, image[: len(plain)]


def pack(clips: tuple[Clip, ...], sample_rate: int, crop: int, augment: Augment, heldout: int, seed: int) -> Corpus:
    """Read every clip once at each speed; `heldout` speakers, drawn from the seed, are kept apart."""
    speakers = sorted({clip.speaker for clip in clips if clip.domain == "speech" and clip.speaker})
    order = torch.randperm(len(speakers), generator=torch.Generator().manual_seed(seed)).tolist()
    apart = {speakers[i] for i in order[: min(heldout, len(speakers) // 2)]}
    held = tuple(mono(clip, sample_rate)[0] for clip in clips if clip.speaker in apart)
    if not held:
        held = (mono(clips[0], sample_rate)[0],)
    pieces: list[tuple[Tensor, Tensor]] = []
    for clip in clips:
        if clip.speaker not in apart:
            for speed in augment.speeds:
                plain, image = mono(clip, sample_rate, speed)
                short = max(0, crop - len(plain))
                plain, image = (torch.nn.functional.pad(x, (0, short)) for x in (plain, image))
                pieces.append((quantized(plain), quantized(image)))
    if not pieces:
        raise UserError("no clip is left to train on: the data needs more than the held-out speakers")
    lengths = torch.tensor([len(plain) for plain, _ in pieces])
    wav, image = torch.cat([p for p, _ in pieces]), torch.cat([i for _, i in pieces])
    return Corpus(wav, image, lengths.cumsum(0) - lengths, lengths, held)


def quantized(wav: Tensor) -> Tensor:
    """float32 in [-1, 1] -> int16."""
    return (wav * 32767).round().clamp(-32768, 32767).to(torch.int16)


def crops(corpus: Corpus, count: int, length: int, augment: Augment, seed: int, step: int) -> Tensor:
    """The batch [count, 1, length] float32 of one step; longer clips are drawn more often."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**62)
    clip = torch.multinomial(corpus.lengths.double(), count, replacement=True, generator=generator)
    room = corpus.lengths[clip] - length + 1
    begin = corpus.starts[clip] + (torch.rand(count, generator=generator, dtype=torch.float64) * room).long()
    chance = torch.rand(3, count, generator=generator)
    low, high = augment.image_gain
    share = 10 ** ((low + (high - low) * chance[0]) / 20) * (chance[1] < augment.image)
    gain = 10 ** ((augment.gain[0] + (augment.gain[1] - augment.gain[0]) * chance[2]) / 20)
    rows = []
    for at, part, level in zip(begin.tolist(), share.tolist(), gain.tolist(), strict=True):
        wav = corpus.wav[at : at + length].float() + part * corpus.image[at : at + length].float()
        peak = float(wav.abs().max()) / 32767
        rows.append(wav * (min(level, 0.99 / max(peak, 1e-6)) / 32767))
    return torch.stack(rows)[:, None]
