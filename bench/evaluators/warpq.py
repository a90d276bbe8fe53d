"""WARP-Q (Jassim et al. 2021, arxiv.org/abs/2102.10449): how far speech of a generative codec is warped from its original; lower is better.

13 MFCC (128 mels up to 5 kHz, every 4 ms), normalised to mean 0 and deviation 1 over 0.8 s around each frame. Patches of 0.4 s of the
reconstruction, every 0.2 s, are each aligned by subsequence dynamic time warping with the whole original, where a step goes one frame on in
the patch, three in the original, or both; the mean cost of a patch's frames counts, and the median over patches is the score (package
warpq 1.5.2 with apply_vad=False: the pauses stay, since a detector would cut both sides at different places).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.spatial.distance import cdist
from torch import Tensor
from torch.nn import functional as F

from bench.evaluators.sounds import Answer, Ask, Sound
from bench.metrics.mel import mel_filters, power_spectra

RATE, FFT, WINDOW, HOP = 16_000, 1024, 512, 64
MELS, HIGHEST, KEPT, LIFTER = 128, 5_000.0, 13, 3
FLOOR, RANGE = 1e-10, 80.0  # of powers; dB below the loudest
AROUND = 201  # frames that a frame is normalised by
PATCH, STEP = 92, 42  # frames
LEAP = 3  # frames of the original that a step may go on
Array = NDArray[np.float64]


def mfcc(wav: Tensor) -> Array:
    """wav [T] -> [1 + T // 64, 13]."""
    window = F.pad(torch.hann_window(WINDOW), ((FFT - WINDOW) // 2,) * 2)
    frames = F.pad(wav, (FFT // 2, FFT // 2)).unfold(0, FFT, HOP) * window
    decibels = 10 * (power_spectra(frames) @ mel_filters(RATE, FFT, MELS, 0.0, HIGHEST)).clamp(min=FLOOR).log10()
    decibels = decibels.clamp(min=float(decibels.max()) - RANGE)
    lifter = 1 + LIFTER / 2 * np.sin(math.pi * np.arange(1, KEPT + 1) / LIFTER)
    return np.asarray(dct(decibels.double().numpy(), norm="ortho"))[:, :KEPT] * lifter


def normalised(features: Array) -> Array:
    """[F, 13] less its mean around each frame, then by the deviation of that around each; the ends are mirrored."""

    def around(values: Array) -> Array:
        return sliding_window_view(np.pad(values, ((AROUND // 2,) * 2, (0, 0)), "symmetric"), AROUND, 0)

    centred = features - around(features).mean(-1)
    return centred / (around(centred).std(-1) + 2**-30)


def costs(ref: Array, est: Array) -> Array:
    """Cost per frame of each patch of est [F, 13] in the place of ref [G, 13] that it fits best."""
    patches = sliding_window_view(est, PATCH, 0)[::STEP]  # [P, 13, 92]
    length = -(-len(ref) // LEAP) * LEAP
    path = np.full((len(patches), length), np.inf)  # cheapest way to each frame of ref
    for i in range(PATCH):
        here = np.full((len(patches), length), np.inf)
        here[:, : len(ref)] = cdist(patches[:, :, i], ref)
        if i == 0:
            path = here
            continue
        before = np.minimum(path, np.pad(path, ((0, 0), (LEAP, 0)), constant_values=np.inf)[:, :-LEAP])
        # within a row a way goes on by leaps: cheapest entry so far, plus all costs since
        cost = np.where(np.isinf(here), 0, here).reshape(len(patches), -1, LEAP)
        total = cost.cumsum(1)
        entry = np.minimum.accumulate(before.reshape(cost.shape) - (total - cost), 1)
        path = np.where(np.isinf(here), np.inf, (entry + total).reshape(here.shape))
    return path.min(1) / PATCH


def score(ref: Tensor, est: Tensor) -> float:
    """The median over patches."""
    return float(np.median(costs(normalised(mfcc(ref)), normalised(mfcc(est)))))


def ask(sounds: Sequence[Sound]) -> list[Answer]:
    """The score of each."""
    return [(score(sound.ref, sound.est),) for sound in sounds if sound.ref is not None]


def load(device: str) -> Ask:
    """Needs no weights; works on the CPU, whatever the device."""
    return ask
