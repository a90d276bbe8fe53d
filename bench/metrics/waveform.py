"""Distances of waveforms, and the level: si_sdr, si_sdr_aligned, snr, gain_db, all in dB, summed in float64.

Evaluated at 16 kHz for speech and 44.1 kHz for music and general sound (their full band), so that one resampled
copy of a clip serves all of them. Ratios are limited to +-100 dB: an exact copy has no finite one, and the resampler's own error
lies near 69 dB, so nothing real is cut off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bench.api import Score
from bench.metrics.delay import lags, moved
from bench.metrics.pair import Pairs, Sides, metric, shared, undefined

CEILING = 100.0  # dB; a limit keeps the mean of a table with an exact copy in it finite
SHORTEST = 0.02  # s


def _decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise) within +-CEILING."""
    if signal <= 0 or noise <= 0:
        return CEILING if noise <= 0 else -CEILING
    return max(-CEILING, min(CEILING, 10 * math.log10(signal / noise)))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Products of rows [B, T], summed: [B]."""
    return torch.bmm(a[:, None], b[:, :, None])[:, 0, 0]


@shared
def _exact(pairs: Pairs) -> Sides:
    """Signals [B, T] in float64."""
    return Sides(pairs.padded.ref.double(), pairs.padded.est.double())


@shared
def _centred(pairs: Pairs) -> Sides:
    """The same, each with mean 0, and still zeros after its end."""
    ends = pairs.lengths[:, None]
    sides = [side - side.sum(-1, keepdim=True) / ends for side in (_exact(pairs).ref, _exact(pairs).est)]
    if len(pairs) > 1:
        over = torch.arange(sides[0].shape[-1], device=pairs.device) >= ends
        sides = [side.masked_fill_(over, 0.0) for side in sides]
    return Sides(*sides)


def _si_sdr(pairs: Pairs) -> list[Score]:
    """SI-SDR of fit pairs."""
    ref, est = _centred(pairs).ref, _centred(pairs).est
    energy = _dot(ref, ref)
    target = ref * (_dot(ref, est) / energy)[:, None]
    residual = est - target
    sums = torch.stack([energy, _dot(est, est), _dot(target, target), _dot(residual, residual)], -1)
    return [_score_of(*row) for row in sums.tolist()]


def _score_of(ref: float, est: float, target: float, residual: float) -> Score:
    if ref == 0 or est == 0:
        return undefined(f"constant {'reference' if ref == 0 else 'estimate'}")
    return Score(_decibels(target, residual))


@metric(SHORTEST, loud_estimate=True)
def si_sdr(pairs: Pairs) -> list[Score]:
    """Scale-invariant SDR in dB, zero-mean, higher is better (Le Roux et al. 2019, arxiv.org/abs/1811.02508)."""
    return _si_sdr(pairs)


@metric(SHORTEST, loud_estimate=True)
def si_sdr_aligned(pairs: Pairs) -> Sequence[Score]:
    """SI-SDR in dB of the overlap after moving est by the lag of greatest waveform correlation near the envelopes' lag (whole samples)."""
    return moved(pairs, [found and found.waveform for found in lags(pairs)], _si_sdr)


@metric(SHORTEST)
def snr(pairs: Pairs) -> list[Score]:
    """Signal-to-noise ratio in dB: energy of ref over energy of ref - est; gain, delay and polarity all count as noise."""
    ref, est = _exact(pairs).ref, _exact(pairs).est
    residual = ref - est
    return [Score(_decibels(*row)) for row in torch.stack([_dot(ref, ref), _dot(residual, residual)], -1).tolist()]


@metric(SHORTEST, loud_estimate=True)
def gain_db(pairs: Pairs) -> list[Score]:
    """Level of est above ref in dB: ratio of the standard deviations of the whole clips.

    Not the least-squares gain: that one falls with the correlation, and reads -20 dB for a vocoder that keeps the level but not the phase.
    """
    energies = torch.stack([_dot(side, side) for side in (_centred(pairs).ref, _centred(pairs).est)], -1)
    return [
        Score(10 * math.log10(est / ref)) if ref and est else undefined(f"constant {'reference' if ref == 0 else 'estimate'}")
        for ref, est in energies.tolist()
    ]
