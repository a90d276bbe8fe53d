"""Eight short pieces: seven as General MIDI, written byte by byte here and played by a soundfont, and one synthesised outright.

A piece is in beats; pitches are MIDI numbers (60: middle C), velocities 1 to 127. Which notes are played comes from the generator
that is given, so a seed is a piece. All of it is composed by this file (MIT).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

Rng = np.random.Generator
Note = tuple[float, float, int, int]  # beat, length in beats, pitch, velocity
DRUMS = 9  # the channel that General MIDI keeps for percussion
TICKS = 480  # a beat
MINOR, MAJOR = (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11)


@dataclass(frozen=True)
class Part:
    """One instrument: a General MIDI program (0 to 127), where it sits (0 left, 127 right) and what it plays."""

    program: int
    notes: tuple[Note, ...]
    pan: int = 64
    drums: bool = False


@dataclass(frozen=True)
class Piece:
    """Parts at a tempo; `seconds` of it are kept."""

    bpm: float
    seconds: float
    parts: tuple[Part, ...]
    stereo: bool = False


def varint(value: int) -> bytes:
    """A MIDI variable-length quantity: seven bits a byte, the last byte's top bit clear."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def midi(piece: Piece) -> bytes:
    """The piece as a standard MIDI file, format 0."""
    events: list[tuple[int, int, bytes]] = [(0, 0, b"\xff\x51\x03" + int(60e6 / piece.bpm).to_bytes(3, "big"))]
    for number, part in enumerate(piece.parts):
        channel = DRUMS if part.drums else number
        events += [(0, 1, bytes([0xC0 | channel, part.program])), (0, 1, bytes([0xB0 | channel, 10, part.pan]))]
        for beat, beats, pitch, velocity in part.notes:
            start = round(beat * TICKS)
            events.append((start, 3, bytes([0x90 | channel, pitch, velocity])))
            events.append((start + max(round(beats * TICKS), 1), 2, bytes([0x80 | channel, pitch, 0])))
    track, now = b"", 0
    for tick, _, message in sorted(events):
        track, now = track + varint(tick - now) + message, tick
    track += varint(4 * TICKS) + b"\xff\x2f\x00"  # four beats for the last notes to ring
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def degree(tonic: int, scale: Sequence[int], step: int) -> int:
    """The pitch `step` degrees of the scale above the tonic (negative: below)."""
    return tonic + 12 * (step // 7) + scale[step % 7]


def melody(rng: Rng, tonic: int, scale: Sequence[int], beats: float, lengths: Sequence[float], loud: int) -> tuple[Note, ...]:
    """A walk along the scale in steps and small leaps, drawn back to its middle."""
    notes: list[Note] = []
    beat, step = 0.0, int(rng.integers(0, 5))
    while beat < beats:
        length = float(rng.choice(lengths))
        notes.append((beat, 0.95 * length, degree(tonic, scale, step), int(loud + rng.integers(-10, 11))))
        leap = int(rng.choice((-2, -1, -1, 1, 1, 2, 4)))
        beat, step = beat + length, step + (leap if -4 < step + leap < 9 else -leap)
    return tuple(notes)


def chords(rng: Rng, tonic: int, scale: Sequence[int], roots: Sequence[int], beats: float, loud: int) -> tuple[Note, ...]:
    """A triad with its octave on each root, held for `beats`."""
    return tuple(
        (k * beats, 0.98 * beats, degree(tonic, scale, root + above), int(loud + rng.integers(-6, 7)))
        for k, root in enumerate(roots)
        for above in (0, 2, 4, 7)
    )


def piano(rng: Rng) -> Piece:
    """A walking melody over a broken-chord left hand."""
    left = tuple(
        (2 * bar + 0.5 * k, 0.5, degree(48, MINOR, root + above), 58 + int(rng.integers(0, 9)))
        for bar, root in enumerate((0, 5, 2, 6, 0))
        for k, above in enumerate((0, 4, 2, 4))
    )
    return Piece(100, 5.0, (Part(0, left + melody(rng, 72, MINOR, 9, (0.5, 0.5, 1, 0.25), 88)),))


def strings(rng: Rng) -> Piece:
    """Slow chords on the left, a cello that answers on the right."""
    top = chords(rng, 60, MAJOR, (0, 3, 4, 0), 2, 80)
    return Piece(104, 4.0, (Part(48, top, pan=30), Part(42, melody(rng, 43, MAJOR, 8, (1, 1, 0.5), 95), pan=105)), stereo=True)


def guitar(rng: Rng) -> Piece:
    """Steel strings, picked in triplets."""
    picked = tuple(
        (bar * 2 + k / 3, 1.2, degree(52, MINOR, root + above), 70 + int(rng.integers(0, 25)))
        for bar, root in enumerate((0, 3, 6, 2, 0))
        for k, above in enumerate((0, 4, 7, 9, 7, 4))
    )
    return Piece(104, 4.0, (Part(25, picked),))


def beat(rng: Rng, beats: int) -> tuple[Note, ...]:
    """A drum kit: kick and snare, wandering sixteenths on the hi-hat, a fill on the toms in the last beat, a crash at the start."""
    notes: list[Note] = [(0, 1, 49, 90)]
    for k in range(4 * beats):
        at = k / 4
        if at >= beats - 1:
            notes.append((at, 0.25, (50, 48, 45, 41)[k % 4], 100))
            continue
        if k % 8 in (0, 5) or rng.random() < 0.08:
            notes.append((at, 0.25, 36, 105))
        if k % 8 == 4:
            notes.append((at, 0.25, 38, 112))
        if k % 2 == 0 or rng.random() < 0.4:
            notes.append((at, 0.25, 46 if k % 16 == 14 else 42, int(rng.integers(50, 95))))
    return tuple(notes)


def drums(rng: Rng) -> Piece:
    """The kit alone."""
    return Piece(112, 4.5, (Part(0, beat(rng, 8), drums=True),))


def organ(rng: Rng) -> Piece:
    """A chorale on a church organ: slow chords, a pedal, a quicker upper voice."""
    pedal = tuple((k * 1.5, 1.45, degree(36, MAJOR, root), 90) for k, root in enumerate((0, 4, 5, 3)))
    return Piece(84, 4.0, (Part(19, chords(rng, 60, MAJOR, (0, 4, 5, 3), 1.5, 85) + pedal + melody(rng, 72, MAJOR, 6, (0.5, 1), 90)),))


def brass(rng: Rng) -> Piece:
    """A fanfare: a section in repeated chords, a trumpet above, timpani below."""
    section = tuple(
        (bar * 2 + at, 0.4, degree(53, MAJOR, root + above), 95 + int(rng.integers(0, 15)))
        for bar, root in enumerate((0, 3, 4, 0, 0))
        for at in (0, 0.75, 1, 1.5)
        for above in (0, 2, 4)
    )
    timpani = tuple((k / 2, 0.5, 41 if k % 4 < 3 else 36, 80 + int(rng.integers(0, 30))) for k in range(18))
    return Piece(116, 4.0, (Part(61, section), Part(56, melody(rng, 65, MAJOR, 9, (0.5, 0.25, 1), 105)), Part(47, timpani)))


def ensemble(rng: Rng) -> Piece:
    """A band: drums, bass, electric piano on the left, saxophone on the right."""
    bass = tuple((k / 2, 0.45, degree(36, MINOR, (0, 3, 5, 4)[k // 5 % 4] + (0, 0, 4, 7)[k % 4]), 100) for k in range(20))
    keys = chords(rng, 60, MINOR, (0, 3, 5, 4), 2.5, 72)
    sax = melody(rng, 67, MINOR, 9, (0.5, 0.75, 0.25, 1), 98)
    return Piece(108, 4.0, (Part(0, beat(rng, 10), drums=True), Part(33, bass), Part(4, keys, pan=20), Part(65, sax, pan=100)), stereo=True)


PIECES: dict[str, Callable[[Rng], Piece]] = {f.__name__: f for f in (piano, strings, guitar, drums, organ, brass, ensemble)}


def electronic(rng: Rng, rate: int) -> NDArray[np.float64]:
    """The eighth piece, without a soundfont: a detuned saw bass that opens up, frequency-modulated bells, noise for a hi-hat; mono [T]."""
    out = np.zeros(4 * rate)
    t = np.arange(rate) / rate
    for k in range(32):  # sixteenths at 120 bpm
        start = k * rate // 8
        hz = 440 * 2 ** ((degree(69, MINOR, int(rng.integers(0, 10))) - 69) / 12)
        index = 3 * np.exp(-t / 0.15)
        pluck = np.sin(2 * np.pi * hz * t + index * np.sin(2 * np.pi * 3.5 * hz * t)) * np.exp(-t / 0.25)
        root = 55 * 2 ** ((0, 0, -4, 3, -2)[k // 8] / 12)
        buzz = np.asarray(sum(np.sin(2 * np.pi * n * root * d * t) / n for n in range(1, 60) for d in (1, 1.006)))
        cut = butter(2, 200 + 3_000 * (k % 16) / 16, fs=rate, output="sos")
        saw = np.asarray(sosfilt(cut, buzz)) * np.exp(-t / 0.12)
        hat = np.asarray(sosfilt(butter(2, 7_000, "highpass", fs=rate, output="sos"), rng.standard_normal(rate))) * np.exp(-t / 0.02)
        note = 0.35 * pluck * (rng.random() < 0.8) + 0.5 * saw + (0.12 if k % 4 == 2 else 0.04) * hat
        room = min(rate, out.size - start)
        out[start : start + room] += note[:room]
    return out
