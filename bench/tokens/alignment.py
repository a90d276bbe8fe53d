"""Time alignment of clips with one text by two speakers, by cepstra, without any tokenizer.

The alignment is dynamic time warping of cepstra, normalised for each clip, 50 a second. Were it made of the codes themselves, it would
look for equal codes, and find the more of them the fewer there are.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bench.api import Audio, Clip
from bench.data.audio import resample
from bench.data.unicode_forms import compared
from bench.nn.mfcc import CEPSTRA, HOP, RATE, WINDOW, Mfcc

STEP = 2  # every second frame of the cepstra: 50 a second
LEVEL = 0.05  # RMS of every clip, so that the floor of the cepstra, which is absolute, lies some 75 dB below each alike
PAIRS = 200  # at most


@dataclass(frozen=True)
class Trio:
    """`a` and `b` say the same in two voices; `other` is b's voice with another text: the control of that very pair."""

    a: str  # clip ids
    b: str
    other: str


def trios(clips: Sequence[Clip], most: int = PAIRS) -> list[Trio]:
    """Pairs of equal text by different speakers, each with its control; spread over the texts where there are more than `most`."""
    said: dict[str, list[Clip]] = defaultdict(list)
    spoke: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.speaker and (text := words(clip.text)):
            said[text].append(clip)
            spoke[clip.speaker].append(clip)
    found = (trio for a, b in _pairs(list(said.values())) for trio in _with_control(a, b, spoke[b.speaker]))
    return list(itertools.islice(found, most))


def words(text: str) -> str:
    """A text without capitals and punctuation; vowel signs and accents of any script stay."""
    kept = (c for c in compared(text).lower() if c.isalnum() or c.isspace() or unicodedata.category(c).startswith("M"))
    return " ".join("".join(kept).split())


def _pairs(groups: Iterable[list[Clip]]) -> Iterator[tuple[Clip, Clip]]:
    """Clips of a group with another speaker, neighbours of all groups first."""
    groups = list(groups)
    for step in range(1, max(map(len, groups), default=0)):
        for i in range(max(map(len, groups)) - step):
            for group in groups:
                if i + step < len(group) and group[i].speaker != group[i + step].speaker:
                    yield group[i], group[i + step]


def _with_control(a: Clip, b: Clip, same_voice: list[Clip]) -> Iterator[Trio]:
    start = same_voice.index(b)
    for other in same_voice[start + 1 :] + same_voice[:start]:
        if words(other.text) != words(b.text):
            yield Trio(a.id, b.id, other.id)
            return


@lru_cache(maxsize=1)
def _mfcc() -> Mfcc:
    return Mfcc().eval()


@torch.inference_mode()
def features(audio: Audio) -> np.ndarray:
    """[F, 26]: cepstra and their slopes, each of mean 0 and variance 1 over the clip; the first channel of the audio alone."""
    wav = resample(audio.wav[:1], audio.sample_rate, RATE)
    wav = wav * (LEVEL / wav.square().mean().sqrt().clamp(min=1e-6))
    found: Tensor = _mfcc()(wav[None])[0, ::STEP, : 2 * CEPSTRA]
    return ((found - found.mean(0)) / found.std(0, correction=0).clamp(min=1e-5)).numpy()


def times(frames: np.ndarray) -> np.ndarray:
    """Seconds of the middle of frames of `features`."""
    return (frames * STEP * HOP + WINDOW / 2) / RATE


def aligned(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """features [n, D], [m, D] -> path [P, 2] of frames, from (0, 0) to (n - 1, m - 1), of least summed Euclidean distance."""
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return warp(np.sqrt(squared.clip(min=0)))


def warp(cost: np.ndarray) -> np.ndarray:
    """cost [n, m] -> the path [P, 2] from corner to corner with the least sum, in steps of one along either axis or both."""
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0
    for diagonal in range(2, n + m + 1):  # cells of a diagonal do not depend on each other
        i = np.arange(max(1, diagonal - m), min(n, diagonal - 1) + 1)
        j = diagonal - i
        before = np.minimum(np.minimum(total[i - 1, j], total[i, j - 1]), total[i - 1, j - 1])
        total[i, j] = cost[i - 1, j - 1] + before
    path, i, j = [], n, m
    while i and j:
        path.append((i - 1, j - 1))
        i, j = min(((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda cell: total[cell])
    return np.array(path[::-1])
