"""STOI and ESTOI against pystoi 0.4, which its authors hold against the papers' Matlab code."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pystoi
import pystoi.utils
import pytest
import soundfile
import torch

from bench.data.audio import resample
from bench.metrics.stoi import _to_10k, estoi, stoi, stoi_aligned
from tests.conftest import speech_like

BOTH = pytest.mark.parametrize(("ours", "extended"), [(stoi, False), (estoi, True)], ids=["stoi", "estoi"])


def degraded(ref: torch.Tensor, level: float, seed: int = 0) -> torch.Tensor:
    """Noise at a level relative to ref's, and half of an echo."""
    noise = torch.randn(len(ref), generator=torch.Generator().manual_seed(seed))
    return ref + 0.5 * ref.roll(400) + level * ref.std() * noise


@BOTH
@pytest.mark.parametrize("rate", [8_000, 10_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_equals_pystoi_at_every_rate(ours, extended: bool, rate: int):
    ref = speech_like(2.5, rate, seed=rate)
    est = degraded(ref, 0.5)
    assert ours(ref, est, rate).value == pytest.approx(pystoi.stoi(ref.numpy(), est.numpy(), rate, extended), abs=2e-6)


@BOTH
@pytest.mark.parametrize("length", [10_000, 10_001, 256 + 128 * 70, 257 + 128 * 70, 255 + 128 * 70])
def test_equals_pystoi_to_the_last_frame(ours, extended: bool, length: int):
    ref = speech_like(1.5, 10_000, seed=3)[:length]
    ref[-150:] = 0.5  # a loud end: whether the last frame counts can be seen
    est = degraded(ref, 1.0)
    assert ours(ref, est, 10_000).value == pytest.approx(pystoi.stoi(ref.numpy(), est.numpy(), 10_000, extended), abs=2e-6)


@BOTH
@pytest.mark.parametrize("level", [0.0, 0.1, 1.0, 10.0])
def test_equals_pystoi_at_every_level_of_noise(ours, extended: bool, level: float):
    ref = speech_like(3, 16_000, seed=11)
    est = degraded(ref, level, seed=1)
    assert ours(ref, est, 16_000).value == pytest.approx(pystoi.stoi(ref.numpy(), est.numpy(), 16_000, extended), abs=2e-6)


@BOTH
def test_equals_pystoi_on_real_clips(ours, extended: bool, real_data: Path):
    lines = (real_data / "eval" / "manifest.jsonl").read_text().splitlines()
    clips = [clip for clip in map(json.loads, lines) if clip["domain"] == "speech"][::9]
    for clip in clips:
        wav, rate = soundfile.read(real_data / "eval" / clip["path"], dtype="float32", always_2d=True, frames=200_000)
        ref = resample(torch.from_numpy(wav[:, 0].copy()), rate, 16_000)
        est = degraded(ref, 0.3)
        assert ours(ref, est, 16_000).value == pytest.approx(pystoi.stoi(ref.numpy(), est.numpy(), 16_000, extended), abs=1e-5), clip["id"]


def test_a_silent_estimate_has_pystois_zero():
    ref = speech_like(2, 16_000)
    assert stoi(ref, 0 * ref, 16_000).value == pystoi.stoi(ref.numpy(), np.zeros(len(ref)), 16_000) == 0


@pytest.mark.parametrize("frames", [29, 30, 31, 32])
def test_undefined_exactly_where_pystoi_gives_up(frames: int):
    ref = torch.randn(256 + 128 * (frames - 1) + 1, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        oracle = pystoi.stoi(ref.numpy(), ref.numpy(), 10_000)
    score = stoi(ref, ref.clone(), 10_000)
    assert math.isnan(score.value) == bool(caught) == (oracle == 1e-5)
    assert math.isnan(estoi(ref, ref.clone(), 10_000).value) == bool(caught)
    assert score.note == ("fewer than 30 active frames" if caught else "")


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_polyphase_filter_is_pystois_resampler(rate: int):
    wav = torch.randn(2, rate // 3 + 7, generator=torch.Generator().manual_seed(0))
    oracle = pystoi.utils.resample_oct(wav[0].double().numpy(), 10_000, rate)
    ours = _to_10k(wav, rate)[0].double().numpy()
    assert len(ours) == len(oracle) and np.abs(ours - oracle).max() < 1e-5


@pytest.mark.parametrize("milliseconds", [25, -10, 40])
def test_alignment_gives_back_what_a_delay_took(milliseconds: int):
    ref = speech_like(3, 16_000, seed=5)
    est = degraded(ref, 0.05)
    late = est.roll(16 * milliseconds)
    assert stoi(ref, late, 16_000).value < stoi(ref, est, 16_000).value - 0.02
    assert stoi_aligned(ref, late, 16_000).value == pytest.approx(stoi(ref, est, 16_000).value, abs=5e-3)
