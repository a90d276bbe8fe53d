"""Loudness by ITU-R BS.1770-4, and the gain that makes one signal as loud as another."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

BLOCK, STEP = 0.4, 0.1  # s: blocks that overlap by three quarters
ABSOLUTE, RELATIVE = -70.0, -10.0  # gates: in LUFS, and in LU below what passes the first
OFFSET = -0.691  # makes a sine of 997 Hz at full scale -3.01 LUFS
# the two stages of the filter as analogue prototypes, whose bilinear transforms at 48 kHz are the coefficients of the Recommendation
SHELF_HZ, SHELF_Q, SHELF_DB = 1681.974450955533, 0.7071752369554196, 3.999843853973347
PASS_HZ, PASS_Q = 38.13547087602444, 0.5003270373238773
SHELF_BAND = 0.4996667741545416  # exponent of the shelf's middle gain


def loudness(wav: Tensor, sample_rate: int) -> float:
    """Integrated loudness of one channel [T] in LUFS; -inf of silence. A clip shorter than a block of 0.4 s is one block."""
    power = _blocks(_weighted(wav.double().numpy(), sample_rate), sample_rate)
    heard = power[_lufs(power) > ABSOLUTE]
    if not len(heard):
        return -math.inf
    heard = heard[_lufs(heard) > float(_lufs(heard.mean())) + RELATIVE]
    return float(_lufs(heard.mean()))


def match(ref: Tensor, est: Tensor, ref_rate: int, est_rate: int) -> float:
    """The gain in dB that makes est as loud as ref, both [T]; NaN where either is silent."""
    gain = loudness(ref, ref_rate) - loudness(est, est_rate)
    return gain if math.isfinite(gain) else math.nan


def _lufs(power: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return OFFSET + 10 * np.log10(power)


def _blocks(wav: np.ndarray, rate: int) -> np.ndarray:
    """Mean squares of the blocks of wav [T]."""
    size, step = round(BLOCK * rate), round(STEP * rate)
    if len(wav) <= size:
        return np.array([np.mean(wav**2)]) if len(wav) else np.zeros(1)
    sums = np.concatenate([[0.0], np.cumsum(wav**2)])
    starts = np.arange(0, len(wav) - size + 1, step)
    return (sums[starts + size] - sums[starts]) / size


def _weighted(wav: np.ndarray, rate: int) -> np.ndarray:
    """wav [T] through the K-weighting filter at any rate."""
    from scipy.signal import lfilter  # here: the command line answers without waiting for scipy

    for b, a in filters(rate):
        wav = np.asarray(lfilter(b, a, wav))
    return wav


def filters(rate: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Numerator and denominator of the shelf and of the high-pass."""
    k, high = math.tan(math.pi * SHELF_HZ / rate), 10 ** (SHELF_DB / 20)
    middle = high**SHELF_BAND
    shelf = np.array([high + middle * k / SHELF_Q + k * k, 2 * (k * k - high), high - middle * k / SHELF_Q + k * k])
    shelf_a = np.array([1 + k / SHELF_Q + k * k, 2 * (k * k - 1), 1 - k / SHELF_Q + k * k])
    p = math.tan(math.pi * PASS_HZ / rate)
    pass_a = np.array([1 + p / PASS_Q + p * p, 2 * (p * p - 1), 1 - p / PASS_Q + p * p])
    return [(shelf / shelf_a[0], shelf_a / shelf_a[0]), (np.array([1.0, -2.0, 1.0]), pass_a / pass_a[0])]
