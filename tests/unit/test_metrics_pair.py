"""What metrics share on one pair is worked out once, and never mistaken for another pair's."""

import gc
import weakref

import pytest
import torch

from bench.metrics import pitch
from bench.metrics.pair import once_per_pair, unfit
from bench.metrics.waveform import si_sdr
from tests.conftest import speech_like


def test_work_is_done_once_a_pair_and_argument():
    calls = []

    @once_per_pair
    def work(ref: torch.Tensor, est: torch.Tensor, sample_rate: int, window: int) -> int:
        calls.append(window)
        return len(calls)

    channels = [(torch.zeros(4), torch.zeros(4)) for _ in range(2)]  # equal samples, different tensors
    for _ in range(3):  # as a suite does: metric by metric, each over both channels
        for ref, est in channels:
            work(ref, est, 8_000, 1)
            work(ref, est, 8_000, 2)
    assert len(calls) == 4
    ref, est = channels[0]
    assert work(ref, est, 16_000, 1) == 5 and work(est, ref, 8_000, 1) == 6


def test_a_clip_is_not_kept_alive_and_its_address_not_trusted():
    @once_per_pair
    def total(ref: torch.Tensor, est: torch.Tensor, sample_rate: int) -> float:
        return ref.sum().item()

    ref = torch.zeros(10)
    for value in range(50):  # addresses are used again as soon as a tensor is gone
        ref = torch.full((10,), float(value))
        assert total(ref, ref, 8_000) == 10 * value
    watched = weakref.ref(ref)
    del ref
    gc.collect()
    assert watched() is None


def test_three_pitch_columns_track_a_pair_once(monkeypatch: pytest.MonkeyPatch):
    tracked = []
    original = pitch.track
    monkeypatch.setattr(pitch, "track", lambda wav, rate: (tracked.append(1), original(wav, rate))[1])
    ref = speech_like(1, 16_000)
    est = ref.clone()
    for column in (pitch.f0_rmse, pitch.f0_corr, pitch.vuv_f1):
        column(ref, est, 16_000)
    assert len(tracked) == 1


def test_a_wrong_shape_is_the_callers_error():
    with pytest.raises(ValueError, match=r"one channel"):
        si_sdr(torch.zeros(1, 100), torch.zeros(1, 100), 16_000)


@pytest.mark.parametrize("peak", [2**-16, 2**-17])
def test_silence_is_less_than_half_a_16_bit_step(peak: float):
    wav = torch.zeros(100)
    wav[3] = -peak
    assert unfit(wav, wav, 100) == ("" if peak == 2**-16 else "silent reference")
