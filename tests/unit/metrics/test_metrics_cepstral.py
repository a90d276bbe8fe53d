"""mcd: the envelope is WORLD's, the cepstra are SPTK's, the warping is the best one."""

import numpy as np
import pytest
import torch

from bench.metrics import world
from bench.metrics.cepstral import ALPHA, BAND, DECIBEL, mcd, mel_cepstra, warped_mean
from bench.metrics.pair import Pairs
from bench.metrics.pitch import tracks
from bench.tokens.alignment import warp
from tests.conftest import import_pyworld, speech_like

RATE = 16_000


def test_the_envelope_is_that_of_the_authors_code_given_the_same_pitch():
    pyworld = import_pyworld()
    wav = speech_like(3, RATE, seed=4).double()
    f0, times = pyworld.harvest(wav.numpy(), RATE)
    theirs = np.log(pyworld.cheaptrick(wav.numpy(), f0, times, RATE))
    cepstra = world.cepstra(wav, torch.from_numpy(f0), torch.from_numpy(times), RATE)
    ours = torch.fft.rfft(torch.cat([cepstra, cepstra[:, 1:-1].flip(-1)], -1)).real.numpy()
    assert 0.2 < (f0 > 0).mean() < 1 and ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() * 10 / np.log(10) < 0.01  # dB


def test_mel_cepstra_are_those_of_the_warped_axis():
    """A spectrum that has but 25 coefficients on the all-pass axis is found again: ln |H| = sum of c_m cos(m warped w)."""
    wav = torch.randn(RATE // 2, generator=torch.Generator().manual_seed(0))
    found = mel_cepstra(wav, np.zeros(51), RATE)
    envelope = world.cepstra(wav, torch.zeros(101), torch.arange(101) * 0.005, RATE)
    log_amplitude = torch.fft.rfft(torch.cat([envelope, envelope[:, 1:-1].flip(-1)], -1)).real.numpy() / 2
    bins = np.linspace(0, np.pi, log_amplitude.shape[1])
    delay = np.exp(-1j * bins)
    warped = -np.unwrap(np.angle((delay - ALPHA) / (1 - ALPHA * delay)))  # the phase of the all-pass
    basis = np.cos(np.arange(25) * warped[:, None])
    slope = np.gradient(warped, bins)[:, None]  # on the warped axis cosines are orthogonal
    expected = log_amplitude @ (basis * slope) * (bins[1] - bins[0]) * np.where(np.arange(25) == 0, 1, 2) / np.pi
    assert np.abs(found - expected).max() < 0.02 and np.abs(expected[:, 1:]).max() > 0.2


@pytest.mark.parametrize("length", [1, 7, 90])
def test_the_warping_is_the_best_of_all_where_the_band_holds_them(length: int):
    a, b = np.random.default_rng(length).normal(size=(2, length, 5)).cumsum(1)
    cost = np.linalg.norm(a[:, None] - b[None], axis=-1)
    path = warp(cost)
    assert length <= BAND and warped_mean(a, b) == pytest.approx(cost[path[:, 0], path[:, 1]].mean())


def test_time_may_stretch_by_half_a_second_and_no_further():
    a = np.random.default_rng(0).normal(size=(600, 3))
    late = lambda frames: np.concatenate([np.repeat(a[:1], frames, 0), a[:-frames]])  # noqa: E731
    inside, outside = warped_mean(a, late(BAND - 10)), warped_mean(a, late(BAND + 40))
    assert inside < 0.7 < 1 < outside


def test_the_metric_is_ten_root_two_over_ln_ten_times_the_mean_distance_without_the_level():
    ref = speech_like(2, RATE, seed=5)
    est = ref + 0.02 * torch.randn(len(ref), generator=torch.Generator().manual_seed(1))
    f0 = tracks(Pairs([(ref, est)], RATE))[0]
    a, b = (mel_cepstra(wav, track, RATE)[:, 1:] for wav, track in ((ref, f0.ref), (est, f0.est)))
    assert mcd(ref, est, RATE).value == pytest.approx(6.141851463713754 * warped_mean(a, b)) and pytest.approx(6.1418515) == DECIBEL
    assert mcd(ref, 0.1 * ref, RATE).value < 0.1


def test_a_codec_is_scored_as_with_the_authors_pitch():
    """Harvest and DIO, both of WORLD, differ as much."""
    pyworld = import_pyworld()
    ref = speech_like(3, RATE, seed=6)
    est = torch.nn.functional.avg_pool1d(ref[None], 3, 1, 1)[0] + 0.01 * torch.randn(len(ref), generator=torch.Generator().manual_seed(2))
    frames = len(tracks(Pairs([(ref, est)], RATE))[0].ref)
    pitch = [pyworld.harvest(wav.double().numpy(), RATE, f0_floor=60, frame_period=10)[0][:frames] for wav in (ref, est)]
    theirs = [mel_cepstra(wav, f0, RATE)[:, 1:] for wav, f0 in zip((ref, est), pitch, strict=True)]
    assert mcd(ref, est, RATE).value == pytest.approx(DECIBEL * warped_mean(*theirs), rel=0.1)
