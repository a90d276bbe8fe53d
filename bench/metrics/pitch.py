"""Pitch: f0_rmse, f0_corr, vuv_f1 over the tracks of one tracker, "nccf-dp": normalised cross-correlation + dynamic programming.

The family of RAPT (Talkin 1995, "A robust algorithm for pitch tracking"), our own: every 10 ms the best peaks of the normalised
cross-correlation compete with "unvoiced"; the cheapest path wins. 60..500 Hz, at 16 kHz. Tracks are not aligned in time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api import Score
from bench.metrics.frames import framed, highest
from bench.metrics.pair import Pairs, metric, shared, undefined

LOWEST, HIGHEST = 60.0, 500.0  # Hz
TYPICAL = 150.0  # Hz
HOP, WINDOW = 0.010, 0.030  # s
CANDIDATES = 6  # peaks a frame
SHORT_LAGS = 0.3  # share by which the longest lag is worth less than the shortest: a period's double fits as well
GLIDE = 0.3  # cost of an octave between frames
SWITCH = 0.15  # cost of going from voiced to unvoiced or back
NOISE = 1e-4  # energy, relative to the loudest frame (-40 dB), added to every frame's: silence must not correlate
SHORTEST = 0.1  # s
FEWEST = 5  # frames voiced on both sides for f0_rmse and f0_corr


@dataclass(frozen=True)
class Peaks:
    """Candidates of every frame, best first; 0 where there are fewer."""

    hz: np.ndarray  # [frames, CANDIDATES]
    height: np.ndarray  # [frames, CANDIDATES] correlation coefficients


def _fast_size(length: int) -> int:
    """A size of a Fourier transform, not below: 2^n or 3 x 2^n."""
    power = 1 << (length - 1).bit_length()
    return power // 4 * 3 if power // 4 * 3 >= length else power


def _products(frames: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Of frames [n, window + lags]: products of the first `window` samples with those so many later, summed, and the latter's energy."""
    frames = frames - frames.mean(-1, keepdim=True)
    lags, size = frames.shape[-1] - window, _fast_size(frames.shape[-1])
    spectra = torch.fft.rfft(frames[:, :window], size).conj_physical_().mul_(torch.fft.rfft(frames, size))
    total = F.pad(frames.square().cumsum(-1), (1, 0))
    return torch.fft.irfft(spectra, size)[:, :lags], total[:, window:-1] - total[:, :lags]


def _correlations(cross: Tensor, energy: Tensor, loudest: Tensor) -> Tensor:
    """Normalised cross-correlation [n, lags] of each frame's first 30 ms with itself later; `loudest` [n]: energy of its clip's loudest."""
    floor = NOISE * loudest[:, None]
    return cross / ((energy[:, :1] + floor) * (energy.clamp_min(0) + floor)).sqrt().clamp_min(1e-20)


def _candidates(correlation: Tensor, sample_rate: int) -> Peaks:
    """The highest local maxima of each frame, their lags refined by a parabola."""
    first = math.floor(sample_rate / HIGHEST)
    left, top, right = correlation[:, first - 1 : -2], correlation[:, first:-1], correlation[:, first + 1 :]
    lags = torch.arange(first, first + top.shape[1], device=correlation.device)
    worth = top * (1 - SHORT_LAGS * lags / lags[-1])
    worth = torch.where((top > left) & (top >= right) & (top > 0), worth, 0.0)
    index = worth.topk(CANDIDATES, dim=-1).indices
    left, top, right = (x.gather(1, index) for x in (left, top, right))
    fraction = 0.5 * (left - right) / (left - 2 * top + right).clamp_max(-1e-9)
    found = worth.gather(1, index) > 0
    hz = torch.where(found, sample_rate / (lags[index] + fraction), 0.0)
    return Peaks(hz.cpu().numpy(), torch.where(found, top - 0.25 * (left - right) * fraction, 0.0).cpu().numpy())


def cheapest(signals: Sequence[Peaks]) -> list[np.ndarray]:
    """For each signal the path of least cost through voiced candidates and "unvoiced" (state 0): Hz [frames], 0 where unvoiced."""
    most = max(len(peaks.hz) for peaks in signals)
    leads = [most - len(peaks.hz) for peaks in signals]  # they end together: before a signal begins all is free
    hz, height = (
        np.stack([np.pad(side, ((lead, 0), (0, 0))) for side, lead in zip(sides, leads, strict=True)], axis=1)
        for sides in zip(*((peaks.hz, peaks.height) for peaks in signals), strict=True)
    )  # [frames, signals, CANDIDATES]
    local = np.where(hz > 0, 1 - height * (1 - SHORT_LAGS * LOWEST / np.maximum(hz, LOWEST)), 9.0)
    costs = np.concatenate([height.max(-1, keepdims=True), local], axis=-1).astype(np.float64)
    octave = np.log2(np.maximum(hz, 1.0))
    moves = np.full((most - 1, len(signals), CANDIDATES + 1, CANDIDATES + 1), SWITCH)  # [frame, signal, to, from]
    moves[..., 1:, 1:] = GLIDE * np.abs(octave[1:, :, :, None] - octave[:-1, :, None, :])
    moves[..., 0, 0] = 0.0
    for signal, lead in enumerate(leads):
        costs[:lead, signal] = moves[:lead, signal] = 0.0
    for cost, step, following in zip(costs, moves, costs[1:], strict=False):  # Python's pace: the same for several signals as for one
        following += np.minimum.reduce(cost[:, None, :] + step, axis=-1)
    back = (costs[:-1, :, None, :] + moves).argmin(-1)
    tracks = []
    for signal, lead in enumerate(leads):
        path = [int(costs[-1, signal].argmin())]
        for way in reversed(back[lead:, signal].tolist()):
            path.append(way[path[-1]])
        states = np.concatenate([np.zeros_like(hz[lead:, signal, :1]), hz[lead:, signal]], axis=-1)
        tracks.append(np.take_along_axis(states, np.array(path[::-1])[:, None], -1)[:, 0].astype(np.float64))
    return tracks


@dataclass(frozen=True)
class Tracks:
    """F0 of both sides of a clip [frames] in Hz, every 10 ms from 0 s on, 0 where unvoiced."""

    ref: np.ndarray
    est: np.ndarray

    @property
    def both(self) -> np.ndarray:
        """True where both are voiced."""
        return (self.ref > 0) & (self.est > 0)


@shared
def tracks(pairs: Pairs) -> list[Tracks]:
    """F0 of each clip."""
    rate = pairs.sample_rate
    hop, window, lags = round(HOP * rate), round(WINDOW * rate), math.ceil(rate / LOWEST) + 2
    center = (window + round(rate / TYPICAL)) // 2  # of the two stretches that match where the period is a typical one
    frames = framed(pairs, window + lags, hop, lambda wav: F.pad(wav, (center, window + lags - center)))
    products = [[_products(side, window) for side in (some.ref, some.est)] for some in frames.pieces()]
    sides: list[list[Peaks]] = []
    for pieces in zip(*products, strict=True):
        loudest = highest(torch.cat([energy[:, 0] for _, energy in pieces]), frames.owner, len(pairs))[frames.owner]
        parts = zip(pieces, loudest.split([len(cross) for cross, _ in pieces]), strict=True)
        found = [_candidates(_correlations(cross, energy, level), rate) for (cross, energy), level in parts]
        hz, height = (np.concatenate(peaks) for peaks in zip(*((p.hz, p.height) for p in found), strict=True))
        sides.append([Peaks(*both) for both in zip(frames.clips(hz), frames.clips(height), strict=True)])
    paths = cheapest(sides[0] + sides[1])
    return [Tracks(*both) for both in zip(paths[: len(pairs)], paths[len(pairs) :], strict=True)]


@metric(SHORTEST)
def f0_rmse(pairs: Pairs) -> list[Score]:
    """Root mean square difference of F0 in Hz over frames voiced in both, lower is better."""
    return [rmse(found) for found in tracks(pairs)]


def rmse(tracks: Tracks) -> Score:
    """In Hz, over frames voiced in both."""
    if tracks.both.sum() < FEWEST:
        return undefined("no frame is voiced in both")
    return Score(float(np.sqrt(np.mean((tracks.ref - tracks.est)[tracks.both] ** 2))))


@metric(SHORTEST)
def f0_corr(pairs: Pairs) -> list[Score]:
    """Pearson correlation of F0 over frames voiced in both, -1..1, higher is better; NaN where a track is constant."""
    return [correlation(found) for found in tracks(pairs)]


def correlation(tracks: Tracks) -> Score:
    """Pearson's, over frames voiced in both."""
    if tracks.both.sum() < FEWEST:
        return undefined("no frame is voiced in both")
    a, b = tracks.ref[tracks.both], tracks.est[tracks.both]
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt((a @ a) * (b @ b))
    return Score(float(a @ b) / norm) if norm > 1e-9 else undefined("constant pitch")


@metric(SHORTEST)
def vuv_f1(pairs: Pairs) -> list[Score]:
    """F1 of est's voiced frames against ref's, 0..1, higher is better; NaN where ref has none."""
    return [f1(found) for found in tracks(pairs)]


def f1(tracks: Tracks) -> Score:
    """Of est's voiced frames against ref's."""
    if not (tracks.ref > 0).any():
        return undefined("no voiced frames in the reference")
    return Score(2 * int(tracks.both.sum()) / (int((tracks.ref > 0).sum()) + int((tracks.est > 0).sum())))
