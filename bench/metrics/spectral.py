"""Spectral distances: mel_dac, mel_l1, stft_dac, lsd (24 kHz speech, 44.1 kHz music and general; mel_l1 24 kHz everywhere), mcd (16 kHz).

Spectra are magnitudes of periodic-Hann frames, centred, with reflected ends, unnormalised, as torch.stft and librosa make them by default.
Each window size is analysed once for a pair, in pieces that fit a cache, so memory does not grow with the clip.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api import Score
from bench.metrics.mel import mel_filters, power_spectra
from bench.metrics.pair import once_per_pair, undefined, unfit

DAC_MELS = {32: 5, 64: 10, 128: 20, 256: 40, 512: 80, 1024: 160, 2048: 320}  # window -> mels, the published training configuration
DAC_STFT = (2048, 512)
MEL_L1 = 1024, 80  # window, mels
LSD = 2048
FLOOR = 1e-5  # of a magnitude, before its log
MCD_WINDOW, MCD_HOP, MCD_MELS, MCD_ORDER = 512, 128, 40, 24
MCD_RANGE = 40.0  # dB below the loudest frame of ref: quieter frames are no speech
SHORTEST = 0.1  # s; also more than half the largest window, which reflection needs
# Samples analysed at once, 1 MB an array: a quarter as many take a fifth longer, for the calls; eight clips in one array, which is what a
# batch would be, take 1 to 1.3 times as long as eight calls, for the caches.
PIECE = 1 << 18


@dataclass(frozen=True)
class Spectra:
    """Magnitudes [frames, bins] of some frames of both sides."""

    ref: Tensor
    est: Tensor


def _spectra(ref: Tensor, est: Tensor, window: int, hop: int) -> Iterator[Spectra]:
    """All frames of a pair, some at a time."""
    shape = torch.hann_window(window, device=ref.device)
    sides = [F.pad(wav[None, None], (window // 2, window // 2), mode="reflect")[0, 0].unfold(0, window, hop) for wav in (ref, est)]
    for start in range(0, len(sides[0]), PIECE // window):
        rows = slice(start, start + PIECE // window)
        yield Spectra(*(power_spectra(side[rows] * shape).sqrt_() for side in sides))


@dataclass(frozen=True)
class Band:
    """Some neighbouring mel filters, and only the bins that they touch."""

    first: int
    last: int
    filters: Tensor  # [last - first, mels]


@lru_cache(maxsize=32)
def _bands(sample_rate: int, window: int, mels: int, device: torch.device) -> tuple[Band, ...]:
    """The filter bank in bands of 32 mels: a dense product would multiply mostly by zero."""
    bands = []
    for filters in mel_filters(sample_rate, window, mels).split(32, dim=1):
        used = filters.any(1).nonzero()
        first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        bands.append(Band(first, last, filters[first:last].contiguous().to(device)))
    return tuple(bands)


def _mel(magnitudes: Tensor, bands: tuple[Band, ...]) -> Tensor:
    return torch.cat([magnitudes[:, band.first : band.last] @ band.filters for band in bands], dim=1)


def _log_ratio(a: Tensor, b: Tensor) -> Tensor:
    """ln(a / b), both held above FLOOR."""
    return (a.clamp_min(FLOOR) / b.clamp_min(FLOOR)).log_()


@dataclass(frozen=True)
class Scale:
    """Distances at one window size; NaN where no metric asks for one there."""

    mel_dac: float  # mean |log10 ratio| of the mels
    mel_l1: float  # mean |ln ratio| of 80 mels
    stft_dac: float  # mean |difference| of magnitudes + mean |log10 ratio| of their squares
    lsd: float  # dB


@once_per_pair
def _scale(ref: Tensor, est: Tensor, sample_rate: int, window: int) -> Scale:
    """One pass over the spectra of one window size, hop window / 4."""
    dac = _bands(sample_rate, window, DAC_MELS[window], ref.device)
    eighty = _bands(sample_rate, window, MEL_L1[1], ref.device)
    sums = dict.fromkeys(("mel_dac", "mel_l1", "magnitude", "log", "lsd"), torch.zeros((), dtype=torch.float64))
    frames = 0
    for some in _spectra(ref, est, window, window // 4):
        frames += len(some.ref)
        sums["mel_dac"] = sums["mel_dac"] + _log_ratio(_mel(some.ref, dac), _mel(some.est, dac)).abs_().sum()
        if window == MEL_L1[0]:
            sums["mel_l1"] = sums["mel_l1"] + _log_ratio(_mel(some.ref, eighty), _mel(some.est, eighty)).abs_().sum()
        if window in DAC_STFT:
            ratio = _log_ratio(some.ref, some.est)
            sums["magnitude"] = sums["magnitude"] + (some.ref - some.est).abs_().sum()
            sums["lsd"] = sums["lsd"] + ratio.square().mean(-1).sqrt().sum()
            sums["log"] = sums["log"] + ratio.abs_().sum()
    mel_dac, mel_l1, magnitude, log, lsd_sum = (total.item() for total in sums.values())
    bins = window // 2 + 1
    decibels = 20 / math.log(10)
    return Scale(
        mel_dac=mel_dac / (frames * DAC_MELS[window] * math.log(10)),
        mel_l1=mel_l1 / (frames * MEL_L1[1]) if window == MEL_L1[0] else math.nan,
        stft_dac=(magnitude + log * 2 / math.log(10)) / (frames * bins) if window in DAC_STFT else math.nan,
        lsd=lsd_sum * decibels / frames if window == LSD else math.nan,
    )


def mel_dac(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """L1 of log10 mels summed over 7 scales (Kumar et al. 2023, arxiv.org/abs/2306.06546, the published training configuration)."""
    if note := unfit(ref, est, sample_rate, SHORTEST):
        return undefined(note)
    return Score(sum(_scale(ref, est, sample_rate, window).mel_dac for window in DAC_MELS))


def mel_l1(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """Mean L1 of natural-log magnitude mels: 80 mels, window 1024, hop 256 (HiFi-GAN's and Vocos' kind of mel, over the whole band)."""
    if note := unfit(ref, est, sample_rate, SHORTEST):
        return undefined(note)
    return Score(_scale(ref, est, sample_rate, MEL_L1[0]).mel_l1)


def stft_dac(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """L1 of magnitudes + L1 of log10 squared magnitudes, windows 2048 and 512, summed (DAC's multi-scale STFT distance)."""
    if note := unfit(ref, est, sample_rate, SHORTEST):
        return undefined(note)
    return Score(sum(_scale(ref, est, sample_rate, window).stft_dac for window in DAC_STFT))


def lsd(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """Log-spectral distance in dB: root mean square over bins of the level difference, mean over frames; window 2048, hop 512."""
    if note := unfit(ref, est, sample_rate, SHORTEST):
        return undefined(note)
    return Score(_scale(ref, est, sample_rate, LSD).lsd)


@lru_cache(maxsize=4)
def _cosines(device: torch.device) -> Tensor:
    """[mels, order]: log amplitude on the mel axis -> c1..c24 with log amplitude = sum of c_m cos(m w), as mel-cepstra are defined."""
    angle = (torch.arange(MCD_MELS) + 0.5)[:, None] * torch.arange(1, MCD_ORDER + 1) * math.pi / MCD_MELS
    return angle.cos().mul(2 / MCD_MELS).to(device)


def mcd(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """Mel-cepstral distortion in dB over c1..c24, no time warping (Kubichek 1993), mean over the frames where ref speaks.

    Mel-cepstrum: cosine transform of 40 log mels (window 512, hop 128, 16 kHz); frames of ref within 40 dB of its loudest one.
    """
    if note := unfit(ref, est, sample_rate, SHORTEST):
        return undefined(note)
    bands, cosines = _bands(sample_rate, MCD_WINDOW, MCD_MELS, ref.device), _cosines(ref.device)
    distances, levels = [], []
    for some in _spectra(ref, est, MCD_WINDOW, MCD_HOP):
        difference = _log_ratio(_mel(some.ref, bands), _mel(some.est, bands)) @ cosines
        distances.append(difference.norm(dim=-1))
        levels.append(some.ref.square().sum(-1))
    level = torch.cat(levels)
    active = level > level.amax() * 10 ** (-MCD_RANGE / 10)
    return Score(torch.cat(distances)[active].mean().item() * 10 * math.sqrt(2) / math.log(10))
