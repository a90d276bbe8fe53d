"""What a probe sees: a clip at 50 frames per second, whatever the rate of its codes, so that one network and one budget serve all.

Each clip to learn from is heard VIEWS times, a little later and softer each time: a codec gives other codes for it, and a large codebook
would otherwise have codes that came once and tell nothing. The test hears every clip as it is.

Frames of tokens are [T, K, S] int64: S codes of each of K codebooks share a frame (one where codes are slower, and then a code
is repeated), -1 where there is none. Side codes, which belong to no frame, are not heard. Frames of log-mel are [T, BANDS] float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.api import Audio, Spec
from bench.data.audio import resample, to_channels
from bench.metrics.mel import mel_filters, power_spectra
from bench.tokens.codes import uncountable

RATE = 50  # frames per second
FASTEST = 400.0  # codes per second of one codebook; beyond it they are samples
BANDS, MEL_RATE, WINDOW, FFT, FLOOR = 64, 16_000, 400, 512, 1e-8  # of log-mel; full scale is about 100
FEWEST_CLIPS = 2  # that a code must come in to be learned: in one alone it could only learn that clip by heart
VIEWS, LATEST, SOFTEST = 8, 0.08, -6.0  # of a clip to learn from: how many, by how many seconds later, by how many dB softer
SPREAD = (0.7548776662, 0.5698402910)  # of delays and levels, evenly in both however many (the R2 sequence: roots of x^3 = x + 1)


@dataclass(frozen=True)
class Tokens:
    """The codes [K, F] of a view, and its seconds."""

    codes: np.ndarray
    seconds: float


def unprobed(spec: Spec) -> str:
    """Why probing the codes means nothing; "" where it means something."""
    if spec.frame_rate > FASTEST:
        return f"{spec.frame_rate:,.0f} codes per second are samples: too many for a probe of this budget"
    if spec.durations:
        return "not applicable: frames vary in length, so that a code has no time that the probe could know"
    return uncountable(spec)


def views(wav: Tensor, sample_rate: int, count: int) -> Iterator[Tensor]:
    """wav [C, T] as it is, then after a little silence and softer, `count` in all."""
    for i in range(count):
        late, soft = (i * step % 1 for step in SPREAD)
        yield torch.nn.functional.pad(wav, (round(late * LATEST * sample_rate), 0)) * 10 ** (soft * SOFTEST / 20)


def frames(tokens: Tokens, rate: float) -> np.ndarray:
    """Codes at `rate` a second -> [T, K, S]: a code slower than a frame is the one at the frame's middle, faster ones by their middles."""
    k, count = tokens.codes.shape
    t = np.arange(max(1, math.ceil(tokens.seconds * RATE - 1e-6)))
    if count == 0:
        return np.full((len(t), k, 1), -1, dtype=np.int64)
    if rate <= RATE:
        index = ((t + 0.5) * rate / RATE).astype(np.int64)[:, None]
        there = np.ones_like(index, dtype=bool)
    else:
        first, end = (np.ceil((t + step) * rate / RATE - 0.5).astype(np.int64)[:, None] for step in (0, 1))
        index = first + np.arange(math.ceil(rate / RATE))
        there = (index < end) & (index < count)
        there[:, 0] = True  # the last code goes on where a tokenizer gives none for the clip's end
    picked = tokens.codes[:, np.minimum(index, count - 1)].astype(np.int64)
    return np.where(there, picked, -1).transpose(1, 0, 2)


def random_tokens(clips: Mapping[str, Sequence[Tokens]], train: Iterable[str], rng: np.random.Generator) -> dict[str, Sequence[Tokens]]:
    """The same shapes, every code drawn on its own from how often each came in the clips to learn from."""
    seen = np.concatenate([view.codes for clip in train for view in clips[clip]], axis=1)

    def drawn(view: Tokens) -> Tokens:
        index = rng.integers(seen.shape[1], size=view.codes.shape)
        return Tokens(np.take_along_axis(seen, index, axis=1), view.seconds)

    return {clip: [drawn(view) for view in clips[clip]] for clip in clips}


class Vocabulary:
    """The codes of each codebook that can be learned, numbered from 1 over all codebooks; 0 is any other.

    A code that is not learned would keep the embedding it began with, zero: so no table needs the codebook's full size, 65,536 or more.
    """

    def __init__(self, train: Iterable[Sequence[np.ndarray]]):
        clips = list(train)
        self.known: list[np.ndarray] = []
        for k in range(clips[0][0].shape[1]):
            each = [np.unique(np.concatenate([view[:, k].ravel() for view in views])) for views in clips]
            codes, came = np.unique(np.concatenate(each), return_counts=True)
            self.known.append(codes[(codes >= 0) & (came >= FEWEST_CLIPS)])
        self.offsets = np.cumsum([1, *map(len, self.known)])

    @property
    def size(self) -> int:
        """Of the table of embeddings, that of 0 included."""
        return int(self.offsets[-1])

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        """Frames of codes [T, K, S] -> their numbers."""
        numbers = np.zeros_like(clip)
        for k, (known, offset) in enumerate(zip(self.known, self.offsets, strict=False)):
            if len(known):
                place = np.searchsorted(known, clip[:, k]).clip(max=len(known) - 1)
                numbers[:, k] = np.where(known[place] == clip[:, k], place + offset, 0)
        return numbers

    def unseen(self, clips: Iterable[np.ndarray]) -> float:
        """Share of the codes in frames of clips that cannot have been learned."""
        lost = total = 0
        for clip in clips:
            there = clip >= 0
            lost, total = lost + int((self(clip)[there] == 0).sum()), total + int(there.sum())
        return lost / max(1, total)


def log_mel(wav: Tensor) -> np.ndarray:
    """wav [T] at MEL_RATE -> frames [T', BANDS] of log power in mel bands, the window's middle at the frame's."""
    hop = MEL_RATE // RATE
    count = max(1, math.ceil(len(wav) / hop - 1e-6))
    margin = (WINDOW - hop) // 2
    padded = torch.nn.functional.pad(wav, (margin, (count - 1) * hop + WINDOW - margin - len(wav)))
    spectra = power_spectra(padded.unfold(-1, WINDOW, hop) * torch.hann_window(WINDOW), FFT)
    return (spectra @ mel_filters(MEL_RATE, FFT, BANDS)).clamp_min(FLOOR).log().numpy()


def heard_as_mel(audio: Audio, count: int) -> list[np.ndarray]:
    """Log-mel of so many views of a clip."""
    wav = resample(to_channels(audio.wav, 1), audio.sample_rate, MEL_RATE)
    return [log_mel(view[0]) for view in views(wav, MEL_RATE, count)]


def standardised(clips: Mapping[str, Sequence[np.ndarray]], train: Iterable[str]) -> dict[str, list[np.ndarray]]:
    """Every band with mean 0 and deviation 1 over the clips to learn from."""
    seen = np.concatenate([view for clip in train for view in clips[clip]])
    mean, deviation = seen.mean(0), seen.std(0).clip(min=1e-3)
    return {clip: [(view - mean) / deviation for view in clips[clip]] for clip in clips}
