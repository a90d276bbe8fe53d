"""Distances of waveforms, and the level: si_sdr, si_sdr_aligned, snr, gain_db, all in dB, summed in float64.

Evaluated at 16 kHz for speech and 44.1 kHz for music and general sound (their full band), so that one resampled
copy of a clip serves all of them. Ratios are limited to +-100 dB: an exact copy has no finite one, and the resampler's own error
lies near 69 dB, so nothing real is cut off.
"""

from __future__ import annotations

import math

from torch import Tensor

from bench.api import Score
from bench.metrics.delay import lag, shifted
from bench.metrics.pair import undefined, unfit

CEILING = 100.0  # dB; a limit keeps the mean of a table with an exact copy in it finite
SHORTEST = 0.02  # s


def _decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise) within +-CEILING."""
    if signal <= 0 or noise <= 0:
        return CEILING if noise <= 0 else -CEILING
    return max(-CEILING, min(CEILING, 10 * math.log10(signal / noise)))


def _si_sdr(ref: Tensor, est: Tensor) -> Score:
    """SI-SDR of a fit pair [T]."""
    ref, est = ref.double(), est.double()
    ref, est = ref - ref.mean(), est - est.mean()
    energy = ref.dot(ref)
    if energy == 0 or est.dot(est) == 0:
        return undefined(f"constant {'reference' if energy == 0 else 'estimate'}")
    target = ref * (ref.dot(est) / energy)
    residual = est - target
    return Score(_decibels(target.dot(target).item(), residual.dot(residual).item()))


def si_sdr(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """Scale-invariant SDR in dB, zero-mean, higher is better (Le Roux et al. 2019, arxiv.org/abs/1811.02508)."""
    if note := unfit(ref, est, sample_rate, SHORTEST, loud_estimate=True):
        return undefined(note)
    return _si_sdr(ref, est)


def si_sdr_aligned(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """SI-SDR in dB of the overlap after moving est by the lag of greatest waveform correlation near the envelopes' lag (whole samples)."""
    if note := unfit(ref, est, sample_rate, SHORTEST, loud_estimate=True):
        return undefined(note)
    found = lag(ref, est, sample_rate)
    if found is None:
        return undefined("no delay can be estimated")
    pair = shifted(ref, est, found.waveform)
    return _si_sdr(pair.ref, pair.est)


def snr(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """Signal-to-noise ratio in dB: energy of ref over energy of ref - est; gain, delay and polarity all count as noise."""
    if note := unfit(ref, est, sample_rate, SHORTEST):
        return undefined(note)
    ref, est = ref.double(), est.double()
    residual = ref - est
    return Score(_decibels(ref.dot(ref).item(), residual.dot(residual).item()))


def gain_db(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """Level of est above ref in dB: ratio of the standard deviations of the whole clips.

    Not the least-squares gain: that one falls with the correlation, and reads -20 dB for a vocoder that keeps the level but not the phase.
    """
    if note := unfit(ref, est, sample_rate, SHORTEST, loud_estimate=True):
        return undefined(note)
    power = [wav.double().var(correction=0).item() for wav in (ref, est)]
    if min(power) == 0:
        return undefined(f"constant {'reference' if power[0] == 0 else 'estimate'}")
    return Score(10 * math.log10(power[1] / power[0]))
