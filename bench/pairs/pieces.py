"""Pieces of readings, cut where the phones' times say and joined again. Waves are float32 [T] at RATE.

Every reading is brought to one level. A piece keeps MARGIN of what was beside it, and pieces are joined by a cross-fade over twice that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.api import Clip
from bench.data import alignments
from bench.data.alignments import Phone
from bench.data.audio import read_clip, resample, to_channels
from bench.pairs.lexicon import Lexicon, Said

RATE = 16_000
MARGIN = 40  # samples: 2.5 ms
TOUCH = 0.002  # s: a phone that reaches no farther into a piece is none of it
LEVEL = 0.04  # root mean square of a reading


@dataclass(frozen=True)
class Reading:
    """A text as one voice says it."""

    clip: Clip
    wave: np.ndarray
    phones: tuple[Phone, ...]
    said: tuple[Said, ...]

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.wave) / RATE


@dataclass(frozen=True)
class Piece:
    """Some of a reading; `wave` has a margin on either side that is no part of it. Times of phones are from its beginning."""

    wave: np.ndarray
    phones: tuple[Phone, ...]
    reading: str  # its clip's id

    @property
    def samples(self) -> int:
        """Its length."""
        return len(self.wave) - 2 * MARGIN

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> Piece:
        """The same with another wave, its phones where they are in proportion."""
        wave = change(self.wave).astype(np.float32)
        scale = (len(wave) - 2 * MARGIN) / self.samples
        phones = tuple(replace(p, start=p.start * scale, end=p.end * scale) for p in self.phones)
        return Piece(wave, phones, self.reading)


@dataclass(frozen=True)
class Sound:
    """Pieces joined."""

    wave: np.ndarray
    phones: tuple[Phone, ...]


def reading(clip: Clip, lexicon: Lexicon) -> Reading | None:
    """A clip with its words; None where they are not found among its phones."""
    alignment = alignments.read(clip)
    said = lexicon.said(clip.text, alignment.phones) if alignment else ()
    if not said or alignment is None:
        return None
    audio = read_clip(clip)
    wave = resample(to_channels(audio.wav, 1), audio.sample_rate, RATE)[0].numpy()
    return Reading(clip, wave * (LEVEL / max(1e-9, float(np.sqrt(np.mean(wave**2))))), alignment.phones, said)


def cut(whole: Reading, start: float, end: float) -> Piece:
    """From `start` to `end`, in seconds; beyond the reading's ends there is silence."""
    first, last = round(start * RATE), round(end * RATE)
    padded = np.pad(whole.wave, (MARGIN, MARGIN + max(0, last - len(whole.wave))))
    inside = (replace(p, start=max(p.start, start), end=min(p.end, end)) for p in whole.phones)
    phones = tuple(replace(p, start=p.start - start, end=p.end - start) for p in inside if p.end - p.start > TOUCH)
    return Piece(padded[first : last + 2 * MARGIN].astype(np.float32), phones, whole.clip.id)


def joined(pieces: Sequence[Piece]) -> Piece:
    """One after the other, faded into each other."""
    rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * MARGIN) + 0.5) / (2 * MARGIN))).astype(np.float32)
    wave, phones, start = np.zeros(sum(p.samples for p in pieces) + 2 * MARGIN, dtype=np.float32), list[Phone](), 0
    for number, piece in enumerate(pieces):
        part = piece.wave.copy()
        if number:
            part[: 2 * MARGIN] *= rise
        if number < len(pieces) - 1:
            part[-2 * MARGIN :] *= rise[::-1]
        wave[start : start + len(part)] += part
        phones += [replace(p, start=p.start + start / RATE, end=p.end + start / RATE) for p in piece.phones]
        start += piece.samples
    return Piece(wave, tuple(phones), "+".join(piece.reading for piece in pieces))


def sound(pieces: Sequence[Piece]) -> Sound:
    """Pieces as they are heard: joined, the margins at both ends cut off, the ends faded."""
    whole = joined(pieces)
    wave, ramp = whole.wave[MARGIN:-MARGIN].copy(), np.linspace(0, 1, 2 * MARGIN, dtype=np.float32)
    wave[: 2 * MARGIN] *= ramp
    wave[-2 * MARGIN :] *= ramp[::-1]
    return Sound(wave, whole.phones)
