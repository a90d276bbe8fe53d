"""Spectral distances: mel_dac, mel_l1, stft_dac, lsd (24 kHz speech, 44.1 kHz music and general;
mel_l1 24 kHz everywhere), mfcc_l2 (16 kHz).

Spectra are magnitudes of periodic-Hann frames, centred, with reflected ends, unnormalised, as torch.stft and librosa make them by default.
Each window size is analysed once for all metrics, in pieces, so memory does not grow with the clips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from bench.api import Score
from bench.metrics.frames import Frames, framed, highest, per_clip
from bench.metrics.mel import mel_filters, power_spectra
from bench.metrics.pair import Pairs, metric, shared

DAC_MELS = {32: 5, 64: 10, 128: 20, 256: 40, 512: 80, 1024: 160, 2048: 320}  # window -> mels, the published training configuration
DAC_STFT = (2048, 512)
MEL_L1 = 1024, 80  # window, mels
LSD = 2048
FLOOR = 1e-5  # of a magnitude, before its log
MFCC_WINDOW, MFCC_HOP, MFCC_MELS, MFCC_ORDER = 512, 128, 40, 24
MFCC_RANGE = 40.0  # dB below the loudest frame of ref: quieter frames are no speech
SHORTEST = 0.1  # s; also more than half the largest window, which reflection needs


@shared
def _mirrored(pairs: Pairs) -> Pairs:
    """Signals with both ends reflected as far as the largest window reaches, or as a short clip allows."""
    reach = min(max(DAC_MELS) // 2, *(len(ref) - 1 for ref in pairs.refs))

    def mirrored(wav: Tensor) -> Tensor:  # joined from parts: torch's own reflection takes ten times as long
        return torch.cat([wav[1 : reach + 1].flip(0), wav, wav[-reach - 1 : -1].flip(0)])

    return Pairs([(mirrored(ref), mirrored(est)) for ref, est in pairs.each], pairs.sample_rate)


def _reflected(pairs: Pairs, window: int, hop: int) -> Frames:
    """Frames whose middle runs from the first sample to the last one."""
    mirrored = _mirrored(pairs)
    spare = max(0, len(mirrored.refs[0]) - len(pairs.refs[0]) - window) // 2  # a smaller window reaches less far
    return framed(mirrored, window, hop, lambda wav: wav[spare : len(wav) - spare])


def _magnitudes(frames: Frames) -> Iterator[Frames]:
    """Magnitudes [n, bins] of the frames, some at a time."""
    shape = torch.hann_window(frames.ref.shape[-1], device=frames.ref.device)
    for some in frames.pieces():
        ref, est = (power_spectra(side * shape).sqrt_() for side in (some.ref, some.est))
        yield replace(some, ref=ref, est=est)


@dataclass(frozen=True)
class Band:
    """Some neighbouring mel filters, and only the bins that they touch."""

    first: int
    last: int
    filters: Tensor  # [mels, last - first]


@lru_cache(maxsize=32)
def _bands(sample_rate: int, window: int, mels: int, device: torch.device) -> tuple[Band, ...]:
    """The filter bank in bands of 16 mels: a dense product would multiply mostly by zero."""
    bands = []
    for filters in mel_filters(sample_rate, window, mels).split(16, dim=1):
        used = filters.any(1).nonzero()
        first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        bands.append(Band(first, last, filters[first:last].T.contiguous().to(device)))
    return tuple(bands)


def _mel(magnitudes: Tensor, bands: tuple[Band, ...]) -> Tensor:
    """[n, bins] -> [n, mels]."""
    # mels by frames: of few mels and many frames, the product takes a quarter of the time
    return torch.cat([band.filters @ magnitudes[:, band.first : band.last].T for band in bands]).T


def _log_ratio(a: Tensor, b: Tensor) -> Tensor:
    """ln(a / b), both held above FLOOR."""
    return (a.clamp_min(FLOOR) / b.clamp_min(FLOOR)).log_()


@dataclass(frozen=True)
class Scale:
    """Distances of each clip [clips] at one window size; NaN where no metric asks for one there."""

    mel_dac: Tensor  # mean |log10 ratio| of the mels
    mel_l1: Tensor  # mean |ln ratio| of 80 mels
    stft_dac: Tensor  # mean |difference| of magnitudes + mean |log10 ratio| of their squares
    lsd: Tensor  # dB


@shared
def _scale(pairs: Pairs, window: int) -> Scale:
    """One pass over the spectra of one window size, hop window / 4."""
    device, clips = pairs.device, len(pairs)
    dac, eighty = (_bands(pairs.sample_rate, window, mels, device) for mels in (DAC_MELS[window], MEL_L1[1]))
    nothing, missing = torch.zeros(clips, dtype=torch.float64, device=device), torch.full((clips,), math.nan, device=device)
    sums: dict[str, Tensor] = dict.fromkeys(("mel_dac", "mel_l1", "magnitude", "log", "lsd"), nothing)
    frames = _reflected(pairs, window, window // 4)

    def add(name: str, values: Tensor, owner: Tensor) -> None:
        sums[name] = sums[name] + per_clip(values, owner, clips)

    for some in _magnitudes(frames):
        add("mel_dac", _log_ratio(_mel(some.ref, dac), _mel(some.est, dac)).abs_(), some.owner)
        if window == MEL_L1[0]:
            add("mel_l1", _log_ratio(_mel(some.ref, eighty), _mel(some.est, eighty)).abs_(), some.owner)
        if window in DAC_STFT:
            ratio = _log_ratio(some.ref, some.est)
            add("magnitude", (some.ref - some.est).abs_(), some.owner)
            add("lsd", ratio.square().mean(-1).sqrt(), some.owner)
            add("log", ratio.abs_(), some.owner)
    counts = torch.tensor(frames.counts, device=device)
    magnitudes, ln_10 = counts * (window // 2 + 1), math.log(10)
    return Scale(
        mel_dac=sums["mel_dac"] / (counts * DAC_MELS[window] * ln_10),
        mel_l1=sums["mel_l1"] / (counts * MEL_L1[1]) if window == MEL_L1[0] else missing,
        stft_dac=(sums["magnitude"] + sums["log"] * 2 / ln_10) / magnitudes if window in DAC_STFT else missing,
        lsd=sums["lsd"] * 20 / ln_10 / counts if window == LSD else missing,
    )


def _scores(values: Tensor) -> list[Score]:
    return [Score(value) for value in values.tolist()]


@metric(SHORTEST)
def mel_dac(pairs: Pairs) -> list[Score]:
    """L1 of log10 mels summed over 7 scales (Kumar et al. 2023, arxiv.org/abs/2306.06546, the published training configuration)."""
    return _scores(torch.stack([_scale(pairs, window).mel_dac for window in DAC_MELS]).sum(0))


@metric(SHORTEST)
def mel_l1(pairs: Pairs) -> list[Score]:
    """Mean L1 of natural-log magnitude mels: 80 mels, window 1024, hop 256 (HiFi-GAN's and Vocos' kind of mel, over the whole band)."""
    return _scores(_scale(pairs, MEL_L1[0]).mel_l1)


@metric(SHORTEST)
def stft_dac(pairs: Pairs) -> list[Score]:
    """L1 of magnitudes + L1 of log10 squared magnitudes, windows 2048 and 512, summed (DAC's multi-scale STFT distance)."""
    return _scores(torch.stack([_scale(pairs, window).stft_dac for window in DAC_STFT]).sum(0))


@metric(SHORTEST)
def lsd(pairs: Pairs) -> list[Score]:
    """Log-spectral distance in dB: root mean square over bins of the level difference, mean over frames; window 2048, hop 512."""
    return _scores(_scale(pairs, LSD).lsd)


@lru_cache(maxsize=4)
def _cosines(device: torch.device) -> Tensor:
    """[mels, order]: log amplitude on the mel axis -> c1..c24 with log amplitude = sum of c_m cos(m w)."""
    angle = (torch.arange(MFCC_MELS) + 0.5)[:, None] * torch.arange(1, MFCC_ORDER + 1) * math.pi / MFCC_MELS
    return angle.cos().mul(2 / MFCC_MELS).to(device)


@metric(SHORTEST)
def mfcc_l2(pairs: Pairs) -> list[Score]:
    """Distance of MFCC in dB over c1..c24, frame by frame, mean over the frames where ref speaks, scaled as Kubichek 1993 scales an MCD.

    MFCC: cosine transform of 40 log mels (window 512, hop 128, 16 kHz); frames of ref within 40 dB of its loudest one. Not the field's MCD,
    which takes mel-cepstra of WORLD's envelope and warps time: that is `mcd`, and its numbers are unlike these.
    """
    bands, cosines, clips = _bands(pairs.sample_rate, MFCC_WINDOW, MFCC_MELS, pairs.device), _cosines(pairs.device), len(pairs)
    frames = _reflected(pairs, MFCC_WINDOW, MFCC_HOP)
    distances, levels = [], []
    for some in _magnitudes(frames):
        difference = _log_ratio(_mel(some.ref, bands), _mel(some.est, bands)) @ cosines
        distances.append(difference.norm(dim=-1))
        levels.append(some.ref.square().sum(-1))
    level = torch.cat(levels)
    active = level > highest(level, frames.owner, clips)[frames.owner] * 10 ** (-MFCC_RANGE / 10)
    total = per_clip(torch.cat(distances) * active, frames.owner, clips)
    return _scores(total / per_clip(active.float(), frames.owner, clips) * (10 * math.sqrt(2) / math.log(10)))
