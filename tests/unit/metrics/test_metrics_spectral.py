"""Spectral distances against transformers' mel filters, torch.stft and scipy's cosine transform, put together here the plain way."""

import math

import numpy as np
import pytest
import scipy.fft
import torch
from transformers.audio_utils import mel_filter_bank

from bench.metrics.mel import mel_filters
from bench.metrics.spectral import DAC_MELS, lsd, mel_dac, mel_l1, mfcc_l2, stft_dac
from tests.conftest import speech_like

RATES = pytest.mark.parametrize("rate", [24_000, 44_100])


def magnitudes(wav: torch.Tensor, window: int, hop: int) -> torch.Tensor:
    """[bins, frames] in float64."""
    return torch.stft(wav.double(), window, hop, window=torch.hann_window(window, dtype=torch.float64), return_complex=True).abs()


def mels(wav: torch.Tensor, window: int, hop: int, count: int, rate: int) -> torch.Tensor:
    bank = mel_filter_bank(window // 2 + 1, count, 0.0, rate / 2, rate, norm="slaney", mel_scale="slaney")
    return torch.from_numpy(bank).T @ magnitudes(wav, window, hop)


def pair(rate: int, seconds: float = 1.3) -> tuple[torch.Tensor, torch.Tensor]:
    ref = speech_like(seconds, rate, seed=1)
    ref[: rate // 5] = 0  # the floor is reached
    return ref, 0.8 * ref.roll(7) + 0.01 * torch.randn(len(ref), generator=torch.Generator().manual_seed(0)) * ref.abs()


@pytest.mark.filterwarnings("ignore")  # transformers warns of the empty filters that the small windows have
@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
@pytest.mark.parametrize(("window", "count"), [*DAC_MELS.items(), (1024, 80), (512, 40)])
def test_mel_filters_equal_transformers(rate: int, window: int, count: int):
    oracle = torch.from_numpy(mel_filter_bank(window // 2 + 1, count, 0.0, rate / 2, rate, norm="slaney", mel_scale="slaney"))
    assert torch.allclose(mel_filters(rate, window, count).double(), oracle, atol=1e-8)


@pytest.mark.filterwarnings("ignore")
@RATES
def test_mel_dac_is_the_sum_over_seven_scales(rate: int):
    ref, est = pair(rate)
    oracle = 0.0
    for window, count in zip([32, 64, 128, 256, 512, 1024, 2048], [5, 10, 20, 40, 80, 160, 320], strict=True):
        a, b = (mels(wav, window, window // 4, count, rate).clamp_min(1e-5).log10() for wav in (ref, est))
        oracle += torch.nn.functional.l1_loss(a, b).item()
    assert mel_dac(ref, est, rate).value == pytest.approx(oracle, rel=2e-5)


@RATES
def test_stft_dac_adds_magnitudes_and_their_logs(rate: int):
    ref, est = pair(rate)
    oracle = 0.0
    for window in (2048, 512):
        a, b = (magnitudes(wav, window, window // 4) for wav in (ref, est))
        oracle += (a - b).abs().mean().item()
        oracle += (a.clamp_min(1e-5).square().log10() - b.clamp_min(1e-5).square().log10()).abs().mean().item()
    assert stft_dac(ref, est, rate).value == pytest.approx(oracle, rel=2e-5)


def test_mel_l1_is_the_mean_of_natural_logs():
    ref, est = pair(24_000)
    a, b = (mels(wav, 1024, 256, 80, 24_000).clamp_min(1e-5).log() for wav in (ref, est))
    assert mel_l1(ref, est, 24_000).value == pytest.approx((a - b).abs().mean().item(), rel=2e-5)


@RATES
def test_lsd_is_the_mean_of_the_frames_rms(rate: int):
    ref, est = pair(rate)
    a, b = (20 * magnitudes(wav, 2048, 512).clamp_min(1e-5).log10() for wav in (ref, est))
    assert lsd(ref, est, rate).value == pytest.approx((a - b).square().mean(0).sqrt().mean().item(), rel=2e-5)


def test_mcd_equals_kubicheks_formula_on_scipys_cosine_transform():
    ref, est = pair(16_000)
    logs = [mels(wav, 512, 128, 40, 16_000).clamp_min(1e-5).log().numpy() for wav in (ref, est)]
    cepstra = np.asarray(scipy.fft.dct(logs, axis=1))[:, 1:25] / 40
    distances = 10 / math.log(10) * np.sqrt(2 * ((cepstra[0] - cepstra[1]) ** 2).sum(0))
    level = magnitudes(ref, 512, 128).square().sum(0)
    spoken = level > level.max() / 1e4
    assert 0.3 < spoken.double().mean() < 0.95, "the clip must have frames of both kinds"
    assert mfcc_l2(ref, est, 16_000).value == pytest.approx(distances[spoken.numpy()].mean(), rel=2e-5)


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_a_gain_shows_as_its_logarithm(gain: float):
    ref = 0.3 * torch.randn(30_000, generator=torch.Generator().manual_seed(0))  # nothing near the floor
    est = gain * ref
    assert mel_l1(ref, est, 24_000).value == pytest.approx(math.log(2), rel=2e-5)
    assert lsd(ref, est, 24_000).value == pytest.approx(20 * math.log10(2), rel=2e-5)
    assert mfcc_l2(ref, est, 16_000).value == pytest.approx(0, abs=1e-4)  # c0 is not counted
    assert mel_dac(ref, est, 44_100).value == pytest.approx(7 * math.log10(2), rel=0.02)  # a mel filter without a bin gives 0


def test_long_clips_are_scored_like_short_ones():
    ref, est = pair(24_000, seconds=12)  # many pieces
    a, b = (mels(wav, 1024, 256, 80, 24_000).clamp_min(1e-5).log() for wav in (ref, est))
    assert mel_l1(ref, est, 24_000).value == pytest.approx((a - b).abs().mean().item(), rel=2e-5)
