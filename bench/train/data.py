"""Training audio, packed once into memory: 16-bit samples at the model's rate, cut into crops at random.

A crop depends on the corpus, the seed and the step alone, so that a run that was stopped goes on with the very crops it would have seen.
Held-out clips belong to speakers of whom no crop is ever made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.api import Clip, UserError
from bench.data.audio import read_clip, resample, to_channels
from bench.train.augment import Augment, altered


@dataclass(frozen=True)
class Corpus:
    """Clips end to end: `wav` and `image` int16 [N], clip i at starts[i] .. starts[i] + lengths[i]; `heldout` are float32 [T].

    Every recording is there at each of `speeds` in turn.
    """

    wav: Tensor
    image: Tensor
    starts: Tensor
    lengths: Tensor
    heldout: tuple[Tensor, ...]
    sample_rate: int
    speeds: tuple[float, ...]


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


def pack(clips: Sequence[Clip], sample_rate: int, crop: int, augment: Augment, heldout: int, seed: int) -> Corpus:
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
    return Corpus(wav, image, lengths.cumsum(0) - lengths, lengths, held, sample_rate, augment.speeds)


def quantized(wav: Tensor) -> Tensor:
    """float32 in [-1, 1] -> int16."""
    return (wav * 32767).round().clamp(-32768, 32767).to(torch.int16)


def places(corpus: Corpus, count: int, length: int, seed: int, step: int) -> tuple[Tensor, Tensor, torch.Generator]:
    """The clips [count] of one step, where in each its crop begins [count] in samples, and the generator, which goes on from there."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**62)
    clip = torch.multinomial(corpus.lengths.double(), count, replacement=True, generator=generator)  # longer ones more often
    room = corpus.lengths[clip] - length + 1
    return clip, (torch.rand(count, generator=generator, dtype=torch.float64) * room).long(), generator


def crops(corpus: Corpus, count: int, length: int, augment: Augment, seed: int, step: int) -> Tensor:
    """The batch [count, 1, length] float32 of one step."""
    clip, offset, generator = places(corpus, count, length, seed, step)
    begin = corpus.starts[clip] + offset
    chance = torch.rand(3, count, generator=generator)
    low, high = augment.image_gain
    share = 10 ** ((low + (high - low) * chance[0]) / 20) * (chance[1] < augment.image)
    gain = 10 ** ((augment.gain[0] + (augment.gain[1] - augment.gain[0]) * chance[2]) / 20)
    rows = []
    for at, part, level in zip(begin.tolist(), share.tolist(), gain.tolist(), strict=True):
        wav = corpus.wav[at : at + length].float() + part * corpus.image[at : at + length].float()
        peak = float(wav.abs().max()) / 32767
        rows.append(wav * (min(level, 0.99 / max(peak, 1e-6)) / 32767))
    batch = torch.stack(rows)
    if augment.mix or augment.eq or augment.reverb:
        batch = altered(batch, corpus.sample_rate, augment, generator)
    return batch[:, None]


@dataclass(frozen=True)
class Track:
    """Frames that go along with a corpus: those of clip i are values[starts[i] : starts[i] + counts[i]].

    Frame k of a clip belongs to the moment (k / rate + delay) / speeds[i], in seconds from its beginning as it is played.
    """

    values: Tensor  # [N, ...]
    starts: Tensor
    counts: Tensor
    speeds: Tensor
    rate: float
    delay: float


def track(wavs: Sequence[Tensor], features: Callable[[Tensor], Tensor], rate: float, delay: float) -> Track:
    """A track of features (wav [1, 1, T] -> [1, F, ...]) of these clips [T]."""
    found = [features(wav[None, None])[0] for wav in wavs]
    counts = torch.tensor([len(frames) for frames in found])
    return Track(torch.cat(found), counts.cumsum(0) - counts, counts, torch.ones(len(found), dtype=torch.float64), rate, delay)


def recorded(corpus: Corpus) -> list[Tensor]:
    """The recordings [T] of a corpus, float32, at the speed nearest to their own, without the zeros that fill a short one up to a crop."""
    starts, lengths = (x[own(corpus) :: len(corpus.speeds)].tolist() for x in (corpus.starts, corpus.lengths))
    pieces = (corpus.wav[a : a + n] for a, n in zip(starts, lengths, strict=True))
    return [piece[: 1 + int((piece != 0).nonzero().amax()) if piece.any() else 1].float() / 32767 for piece in pieces]


def own(corpus: Corpus) -> int:
    """Which of the speeds is nearest to that of the recordings."""
    return min(range(len(corpus.speeds)), key=lambda i: abs(corpus.speeds[i] - 1))


def at_all_speeds(track: Track, corpus: Corpus) -> Track:
    """A track of the recordings -> one of all clips of the corpus: what plays at another speed has the frames of the same moments."""
    each = torch.arange(len(track.starts)).repeat_interleave(len(corpus.speeds))
    speeds = torch.tensor(corpus.speeds, dtype=torch.float64) / corpus.speeds[own(corpus)]
    return replace(track, starts=track.starts[each], counts=track.counts[each], speeds=speeds.repeat(len(track.starts)))


def frames_at(track: Track, clip: Tensor, moments: Tensor) -> Tensor:
    """The frames [B, n, ...] nearest to moments [B, n], in seconds from the beginnings of clips [B]."""
    frame = ((moments * track.speeds[clip, None] - track.delay) * track.rate).round().long()
    last = track.counts[clip, None] - 1
    return track.values[track.starts[clip, None] + torch.minimum(frame.clamp(min=0), last)]
