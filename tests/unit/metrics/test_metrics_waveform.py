"""SI-SDR and SNR against torchmetrics and mir_eval; the rest against values derived by hand."""

import math
import warnings

import mir_eval
import pytest
import torch
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio, signal_noise_ratio

from bench.metrics.waveform import gain_db, si_sdr, si_sdr_aligned, snr
from tests.conftest import speech_like

RATE = 16_000


def noise(length: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(length, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("level", [1e-3, 0.03, 0.5, 5.0])
def test_si_sdr_and_snr_equal_torchmetrics(level: float):
    ref = speech_like(2, RATE) + 0.05  # an offset: SI-SDR must remove it, SNR must not
    est = 0.6 * ref + level * noise(len(ref)) - 0.02
    oracle = scale_invariant_signal_distortion_ratio(est.double(), ref.double(), zero_mean=True)
    assert si_sdr(ref, est, RATE).value == pytest.approx(oracle.item(), abs=1e-6)
    assert snr(ref, est, RATE).value == pytest.approx(signal_noise_ratio(est.double(), ref.double()).item(), abs=1e-6)


def test_si_sdr_is_at_most_mir_evals_sdr_which_forgives_filtering():
    ref = speech_like(1, RATE)
    est = ref + 0.02 * noise(len(ref)) + 0.3 * ref.roll(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated in mir_eval, but the field's definition of SDR
        sdr = mir_eval.separation.bss_eval_sources(ref[None].numpy(), est[None].numpy())[0][0]
    assert si_sdr(ref, est, RATE).value < sdr - 3


def test_values_that_can_be_had_by_hand():
    t = torch.arange(RATE) / RATE
    ref, orthogonal = torch.sin(2 * math.pi * 100 * t), torch.sin(2 * math.pi * 200 * t)
    assert si_sdr(ref, ref + 0.1 * orthogonal, RATE).value == pytest.approx(20, abs=1e-4)
    assert snr(ref, ref + 0.1 * orthogonal, RATE).value == pytest.approx(20, abs=1e-4)
    assert snr(ref, 2 * ref, RATE).value == pytest.approx(0, abs=1e-6)
    assert snr(ref, 0 * ref, RATE).value == pytest.approx(0, abs=1e-6)
    assert gain_db(ref, 0.5 * ref, RATE).value == pytest.approx(-20 * math.log10(2), abs=1e-4)
    assert gain_db(ref, -10 * orthogonal + 3, RATE).value == pytest.approx(20, abs=1e-4)


def test_an_exact_copy_and_an_orthogonal_signal_stay_finite():
    t = torch.arange(RATE, dtype=torch.float64) / RATE
    ref = torch.sin(2 * math.pi * 100 * t).float()
    assert si_sdr(ref, ref.clone(), RATE).value == snr(ref, ref.clone(), RATE).value == 100
    ref, est = torch.tensor([1.0, -1.0, 1.0, -1.0]).repeat(200), torch.tensor([1.0, 1.0, -1.0, -1.0]).repeat(200)
    assert si_sdr(ref, est, RATE).value == -100


@pytest.mark.parametrize("function", [si_sdr, gain_db])
def test_constant_signals_are_undefined(function):
    ref = speech_like(1, RATE)
    for pair in ((ref, torch.full_like(ref, 0.5)), (torch.full_like(ref, 0.5), ref)):
        score = function(*pair, RATE)
        assert math.isnan(score.value) and "constant" in score.note


@pytest.mark.parametrize("lag", [1, 37, 400, -160, 3000])
@pytest.mark.parametrize("sign", [1, -1])
def test_alignment_recovers_si_sdr_to_the_sample(lag: int, sign: int):
    ref = speech_like(3, RATE, seed=2)
    est = ref + 0.05 * ref.std() * noise(len(ref))
    late = sign * est.roll(lag)
    before = si_sdr(ref, est, RATE).value
    assert si_sdr(ref, late, RATE).value < before - 4
    assert si_sdr_aligned(ref, late, RATE).value == pytest.approx(before, abs=0.3)


def test_alignment_never_costs_a_coherent_pair_anything():
    ref = speech_like(3, RATE, seed=4)
    for level in (0.1, 0.5, 1.0, 2.0):
        est = ref + level * ref.std() * noise(len(ref), seed=3)
        assert si_sdr_aligned(ref, est, RATE).value == si_sdr(ref, est, RATE).value
