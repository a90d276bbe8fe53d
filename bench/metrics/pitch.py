"""Pitch: f0_rmse, f0_corr, vuv_f1 over the tracks of one tracker, "nccf-dp": normalised cross-correlation + dynamic programming.

The family of RAPT (Talkin 1995, "A robust algorithm for pitch tracking"), our own: every 10 ms the best peaks of the normalised
cross-correlation compete with "unvoiced"; the cheapest path wins. 60..500 Hz, at 16 kHz. Tracks are not aligned in time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api import Score
from bench.metrics.pair import once_per_pair, undefined, unfit

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

    hz: np.ndarray  # [..., frames, CANDIDATES]
    height: np.ndarray  # [..., frames, CANDIDATES] correlation coefficients


def _correlations(wav: Tensor, sample_rate: int) -> Tensor:
    """Normalised cross-correlation [frames, lags] of each frame's first 30 ms with itself later, lags 0 .. 1 / LOWEST + 1 sample."""
    hop, window, lags = round(HOP * sample_rate), round(WINDOW * sample_rate), math.ceil(sample_rate / LOWEST) + 2
    span = window + lags
    center = (window + round(sample_rate / TYPICAL)) // 2  # of the two stretches that match where the period is a typical one
    frames = F.pad(wav, (center, span - center)).unfold(0, span, hop)
    frames = frames - frames.mean(-1, keepdim=True)
    size = 1 << (span - 1).bit_length()
    product = torch.fft.rfft(frames[:, :window], size).conj() * torch.fft.rfft(frames, size)
    cross = torch.fft.irfft(product, size)[:, :lags]
    total = F.pad(frames.square().cumsum(-1), (1, 0))
    energy = total[:, window : window + lags] - total[:, :lags]
    floor = NOISE * energy[:, 0].amax()
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


def _cheapest(peaks: Peaks) -> np.ndarray:
    """The path of least cost through voiced candidates and "unvoiced" (state 0): Hz [..., frames], 0 where unvoiced."""
    voiced = peaks.hz > 0
    local = np.where(voiced, 1 - peaks.height * (1 - SHORT_LAGS * LOWEST / np.maximum(peaks.hz, LOWEST)), 9.0)
    local = np.concatenate([peaks.height.max(-1, keepdims=True), local], axis=-1)
    octave = np.log2(np.maximum(peaks.hz, 1.0))
    moves = np.full((*octave.shape[:-2], octave.shape[-2] - 1, CANDIDATES + 1, CANDIDATES + 1), SWITCH)  # [..., frame, to, from]
    moves[..., 1:, 1:] = GLIDE * np.abs(octave[..., 1:, :, None] - octave[..., :-1, None, :])
    moves[..., 0, 0] = 0.0
    moves = np.ascontiguousarray(np.moveaxis(moves, -3, 0))
    costs = np.moveaxis(local, -2, 0).astype(np.float64)
    for cost, step, following in zip(costs, moves, costs[1:], strict=False):  # Python's pace: the same for several signals as for one
        following += np.minimum.reduce(cost[..., None, :] + step, axis=-1)
    back = (costs[:-1, ..., None, :] + moves).argmin(-1)
    paths: list[list[int]] = []
    for ways, last in zip(back.reshape(len(back), -1, CANDIDATES + 1).swapaxes(0, 1).tolist(), costs[-1].argmin(-1).flat, strict=True):
        path = [int(last)]
        for way in reversed(ways):
            path.append(way[path[-1]])
        paths.append(path[::-1])
    states = np.array(paths).reshape(*octave.shape[:-1], 1)
    hz = np.concatenate([np.zeros_like(octave[..., :1]), peaks.hz], axis=-1)
    return np.take_along_axis(hz, states, -1)[..., 0].astype(np.float64)


def track(wav: Tensor, sample_rate: int) -> np.ndarray:
    """F0 in Hz of each wav [..., T] every 10 ms from 0 s on [..., T // hop + 1], 0 where unvoiced."""
    rows = wav.reshape(-1, wav.shape[-1])  # correlated one by one: the frames of two fall out of a cache
    found = [_candidates(_correlations(row, sample_rate), sample_rate) for row in rows]
    tracks = _cheapest(Peaks(np.stack([peaks.hz for peaks in found]), np.stack([peaks.height for peaks in found])))
    return tracks.reshape(*wav.shape[:-1], -1)


@dataclass(frozen=True)
class Tracks:
    """F0 of both sides [frames] in Hz, 0 where unvoiced."""

    ref: np.ndarray
    est: np.ndarray

    @property
    def both(self) -> np.ndarray:
        """True where both are voiced."""
        return (self.ref > 0) & (self.est > 0)


@once_per_pair
def _tracks(ref: Tensor, est: Tensor, sample_rate: int) -> Tracks:
    return Tracks(*track(torch.stack([ref, est]), sample_rate))


def f0_rmse(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """Root mean square difference of F0 in Hz over frames voiced in both, lower is better."""
    if note := unfit(ref, est, sample_rate, SHORTEST):
        return undefined(note)
    tracks = _tracks(ref, est, sample_rate)
    if tracks.both.sum() < FEWEST:
        return undefined("no voiced frames in common")
    return Score(float(np.sqrt(np.mean((tracks.ref - tracks.est)[tracks.both] ** 2))))


def f0_corr(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """Pearson correlation of F0 over frames voiced in both, -1..1, higher is better; NaN where a track is constant."""
    if note := unfit(ref, est, sample_rate, SHORTEST):
        return undefined(note)
    tracks = _tracks(ref, est, sample_rate)
    if tracks.both.sum() < FEWEST:
        return undefined("no voiced frames in common")
    a, b = tracks.ref[tracks.both], tracks.est[tracks.both]
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt((a @ a) * (b @ b))
    return Score(float(a @ b) / norm) if norm > 1e-9 else undefined("constant pitch")


def vuv_f1(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """F1 of est's voiced frames against ref's, 0..1, higher is better; NaN where ref has none."""
    if note := unfit(ref, est, sample_rate, SHORTEST):
        return undefined(note)
    tracks = _tracks(ref, est, sample_rate)
    voiced = int((tracks.ref > 0).sum()) + int((tracks.est > 0).sum())
    if not (tracks.ref > 0).any():
        return undefined("no voiced frames in the reference")
    return Score(2 * int(tracks.both.sum()) / voiced)
