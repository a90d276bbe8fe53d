"""Changes of a clip do what their names say, and stay within full scale."""

import math

import pytest
import torch
from torch import Tensor

from bench.engine.perturbations import louder, narrow, noisy, overloaded
from tests.conftest import speech_like


def power(wav: Tensor) -> float:
    return float(wav.double().square().mean())


def test_noise_lies_so_far_below_the_clip_and_differs_in_level_alone() -> None:
    wav = speech_like(2.0, 16_000)[None, None] / 4  # so that nothing is cut
    added = {snr: noisy(wav, snr, seed=7) - wav for snr in (20, 10, 0)}
    for snr, noise in added.items():
        assert 10 * math.log10(power(wav) / power(noise)) == pytest.approx(snr, abs=0.1)
    assert torch.allclose(added[0] / 10, added[20], atol=1e-6)
    assert not torch.allclose(noisy(wav, 20, seed=8), noisy(wav, 20, seed=7))


def test_silence_stays_silent_in_noise_that_is_relative_to_it() -> None:
    assert not noisy(torch.zeros(1, 1, 100), 0, seed=0).any()


def test_a_level_is_in_db_and_ends_at_full_scale() -> None:
    wav = torch.tensor([[[0.1, -0.6, 0.3]]])
    assert torch.allclose(louder(wav, -20), wav / 10)
    assert torch.allclose(louder(wav, 20 * math.log10(2)), torch.tensor([[[0.2, -1.0, 0.6]]]))


@pytest.mark.parametrize("rate", [24_000, 44_100])
def test_a_narrow_band_keeps_what_lies_in_it_alone(rate: int) -> None:
    t = torch.arange(rate, dtype=torch.float64) / rate
    low, high = (0.3 * torch.sin(2 * torch.pi * hz * t).float()[None, None] for hz in (1000, 5000))
    there = narrow(low + high, rate, 4000)
    assert there.shape == low.shape
    assert (there - low)[..., 500:-500].abs().max() < 1e-3


def test_overload_cuts_below_the_peak() -> None:
    wav = torch.tensor([[[0.8, -0.3, 0.1, -0.1]]])
    ceiling = 0.8 * 10 ** (-12 / 20)
    assert torch.allclose(overloaded(wav, 12), torch.tensor([[[ceiling, -ceiling, 0.1, -0.1]]]))
