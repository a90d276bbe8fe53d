"""Basic Pitch (Bittner et al. 2022, arxiv.org/abs/2203.09893, Apache-2.0): which notes are heard in music, at 22,050 Hz.

Only the network in the package basic-pitch is read, its ONNX form. Windows of 2 s overlap by 30 frames; note and onset salience become
notes as the package's defaults have it: onsets above 0.5 (those inferred from rising salience included), a note until its salience stays
below 0.3 for 11 frames, then what loud salience is left, notes of more than 11 frames.

The score is the F1 of the notes of the original found again in the reconstruction: same semitone, onsets within 50 ms, each note once
(mir_eval's rule, ends not compared). It says what of the tune and the rhythm is lost; timbre has no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import argrelmax
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from torch import Tensor

from bench.evaluators import onnx_models
from bench.evaluators.package_files import PackageFile
from bench.evaluators.packages import BASIC_PITCH
from bench.evaluators.sounds import Answer, Ask, Sound

RATE, HOP = 22_050, 256
WINDOW = 2 * RATE - HOP  # samples
FRAMES = 2 * (RATE // HOP)  # of a window
OVERLAP = 30  # frames
LOWEST = 21  # MIDI number of the lowest key, of 88
ONSET, SALIENCE, SHORTEST, PATIENCE = 0.5, 0.3, 11, 11
TOLERANCE = 0.05  # s between onsets of one note
DRIFT = HOP / RATE * (FRAMES - WINDOW / HOP) + 0.0018  # s that each window's frames are late, as the package corrects it
FILE = PackageFile(
    BASIC_PITCH,
    "basic-pitch",
    "0.4.0",
    "basic_pitch/saved_models/icassp_2022/nmp.onnx",
    "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec",
)
Salience = NDArray[np.float64]
"""[frames, 88 keys], 0..1."""


@dataclass(frozen=True, order=True)
class Note:
    """Onset in s, and which key (MIDI number)."""

    onset: float
    pitch: int


def saliences(wav: Tensor) -> tuple[Salience, Salience]:
    """wav [T] at 22,050 Hz -> salience of notes and of onsets."""
    network = onnx_models.session(FILE.locate())
    samples = np.concatenate([np.zeros(OVERLAP * HOP // 2, np.float32), wav.numpy()])
    notes, onsets = [], []
    for start in range(0, len(samples), WINDOW - OVERLAP * HOP):
        window = samples[start : start + WINDOW]
        window = np.pad(window, (0, WINDOW - len(window)))
        names = ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"]
        note, onset = network.run(names, {"serving_default_input_2:0": window[None, :, None]})
        notes.append(np.asarray(note)[0, OVERLAP // 2 : -OVERLAP // 2])
        onsets.append(np.asarray(onset)[0, OVERLAP // 2 : -OVERLAP // 2])
    count = int(len(wav) * ((RATE // HOP) / RATE))
    return np.concatenate(notes)[:count], np.concatenate(onsets)[:count]


def with_inferred_onsets(onsets: Salience, salience: Salience) -> Salience:
    """Onsets, and where salience rises against both of the last two frames, scaled to the same peak."""
    before = [np.concatenate([np.zeros((n, salience.shape[1])), salience])[: len(salience)] for n in (1, 2)]
    rise = np.min([salience - earlier for earlier in before], 0).clip(min=0)
    rise[:2] = 0
    peak = rise.max()
    return np.maximum(onsets, onsets.max() * rise / peak) if peak > 0 else onsets


def follow(left: Salience, start: int, key: int, step: int, erase: bool) -> int:
    """From a frame on forwards (1) or backwards (-1) while the note sounds: the first frame beyond it."""
    i, quiet = start, 0
    last = len(left) - 1 if step > 0 else 0
    while step * i < step * last and quiet < PATIENCE:
        quiet = quiet + 1 if left[i, key] < SALIENCE else 0
        if erase:
            silence(left, i, i + 1, key)
        i += step
    return i - step * quiet


def silence(left: Salience, start: int, end: int, key: int) -> None:
    """Takes a note, and what it leaks into the neighbouring keys, out of the salience that is left."""
    left[start:end, max(0, key - 1) : key + 2] = 0


def transcribe(salience: Salience, onsets: Salience) -> list[tuple[int, int, int]]:
    """(first frame, frame after the last, key) of each note."""
    if not len(salience):
        return []
    onsets = with_inferred_onsets(onsets, salience)
    peaks = np.zeros(onsets.shape)
    places = argrelmax(onsets, axis=0)
    peaks[places] = onsets[places]
    left = salience.astype(np.float64)
    found: list[tuple[int, int, int]] = []
    for start, key in reversed(np.argwhere(peaks >= ONSET).tolist()):
        if start >= len(left) - 1:
            continue
        end = follow(left, start + 1, key, 1, erase=False)
        if end - start > SHORTEST:
            silence(left, start, end, key)
            found.append((start, end, key))
    while left.max() > SALIENCE:
        middle, key = map(int, np.unravel_index(left.argmax(), left.shape))
        left[middle, key] = 0
        end = follow(left, middle + 1, key, 1, erase=True) - 1
        start = follow(left, middle - 1, key, -1, erase=True) + 1
        if end - start > SHORTEST:
            found.append((start, end, key))
    return found


def notes_of(wav: Tensor) -> list[Note]:
    """The notes of wav [T] at 22,050 Hz."""
    return sorted(Note(start * HOP / RATE - DRIFT * (start // FRAMES), LOWEST + key) for start, _, key in transcribe(*saliences(wav)))


def f1(ref: Sequence[Note], est: Sequence[Note]) -> float:
    """Twice the matched notes by all notes of both."""
    near = [[a.pitch == b.pitch and round(abs(a.onset - b.onset), 4) <= TOLERANCE for b in est] for a in ref]
    if not ref or not est:
        return 0.0
    matched = int((maximum_bipartite_matching(csr_matrix(np.array(near, dtype=np.int8))) >= 0).sum())
    return 2 * matched / (len(ref) + len(est))


def answer(sound: Sound) -> Answer:
    """The F1 of a clip."""
    assert sound.ref is not None
    ref = notes_of(sound.ref)
    return (f1(ref, notes_of(sound.est)),) if ref else "no note is heard in the original"


def ask(sounds: Sequence[Sound]) -> list[Answer]:
    """The F1 of each."""
    return [answer(sound) for sound in sounds]


def load(device: str) -> Ask:
    """Works on the CPU, whatever the device; UserError where the package or onnxruntime is missing."""
    onnx_models.session(FILE.locate())
    return ask
