"""Loudness by BS.1770: the coefficients and the levels that the Recommendation prints."""

import math

import numpy as np
import pytest
import torch

from bench.data import loudness
from tests.conftest import speech_like


def tone(hz: float, seconds: float, rate: int, decibels: float = 0.0) -> torch.Tensor:
    t = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    return (10 ** (decibels / 20) * torch.sin(2 * math.pi * hz * t)).float()


def test_the_filters_at_48_khz_are_those_that_the_recommendation_prints() -> None:
    (b, a), (pass_b, pass_a) = loudness.filters(48_000)
    assert np.allclose(b, [1.53512485958697, -2.69169618940638, 1.19839281085285], atol=1e-8)
    assert np.allclose(a, [1, -1.69065929318241, 0.73248077421585], atol=1e-8)
    assert np.allclose(pass_b, [1, -2, 1]) and np.allclose(pass_a, [1, -1.99004745483398, 0.99007225036621], atol=1e-8)


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_a_tone_of_997_hz_at_full_scale_is_minus_3_01_lufs_at_any_rate(rate: int) -> None:
    assert abs(loudness.loudness(tone(997, 3, rate), rate) + 3.01) < 0.05
    assert abs(loudness.loudness(tone(997, 3, rate, -20), rate) + 23.01) < 0.05


def test_pauses_are_gated_out_and_silence_has_no_loudness() -> None:
    loud = tone(997, 3, 48_000, -20)
    assert abs(loudness.loudness(torch.cat([loud, torch.zeros(48_000 * 6)]), 48_000) - loudness.loudness(loud, 48_000)) < 0.3
    soft = tone(997, 3, 48_000, -45)
    assert abs(loudness.loudness(torch.cat([loud, soft]), 48_000) - loudness.loudness(loud, 48_000)) < 0.3, "below the relative gate"
    assert loudness.loudness(torch.zeros(48_000), 48_000) == -math.inf
    assert math.isfinite(loudness.loudness(loud[:4800], 48_000)), "shorter than a block"


def test_the_gain_makes_two_signals_equally_loud() -> None:
    ref, est = speech_like(2.0, 24_000), speech_like(2.0, 16_000) / 7
    gain = loudness.match(ref, est, 24_000, 16_000)
    assert abs(loudness.loudness(est * 10 ** (gain / 20), 16_000) - loudness.loudness(ref, 24_000)) < 0.05
    assert math.isnan(loudness.match(ref, torch.zeros(16_000), 24_000, 16_000))
