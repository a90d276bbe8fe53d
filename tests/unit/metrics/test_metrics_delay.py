"""Delays that were put in are found: in copies, in noise, in filtered sound, and behind a vocoder that keeps no waveform."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch

from bench.data.audio import resample
from bench.metrics.delay import _correlation, _near, delay_ms, lags, shifted
from bench.metrics.pair import Pairs
from tests.conftest import speech_like

RATE = 16_000


@pytest.mark.parametrize("milliseconds", [0, 25, 10, 40, -10, 12.5, 3.125, -100, 180])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_delay_is_found_to_the_sample(milliseconds: float, rate: int):
    ref = speech_like(2.5, rate, seed=1)
    samples = round(milliseconds * rate / 1000)
    est = 0.5 * ref.roll(samples) + 0.02 * ref.std() * torch.randn(len(ref), generator=torch.Generator().manual_seed(0))
    assert delay_ms(ref, est, rate).value == pytest.approx(1000 * samples / rate, abs=1e-6)


@pytest.mark.parametrize("milliseconds", [0, 25, -10, 40, 22.5, 12.5])
def test_a_delay_is_found_where_no_phase_is_kept(milliseconds: float):
    ref = speech_like(4, RATE, seed=6)
    g = torch.Generator().manual_seed(1)
    window = torch.hann_window(512)
    spectrum = torch.stft(ref, 512, 128, window=window, return_complex=True)
    phase = 2 * torch.pi * torch.rand(spectrum.shape, generator=g)
    est = torch.istft(torch.polar(spectrum.abs(), phase), 512, 128, window=window, length=len(ref)).roll(round(RATE * milliseconds / 1000))
    (found,) = lags(Pairs([(ref, est)], RATE))
    assert found is not None and found.coherence < 0.6
    assert delay_ms(ref, est, RATE).value == pytest.approx(milliseconds, abs=2)  # a step is 5 ms


@pytest.mark.parametrize(("mode", "milliseconds"), [(3200, 20), (1300, 20), (700, 30)])
def test_codec2_shows_its_true_delay_on_real_speech(mode: int, milliseconds: int, real_data: Path):
    pycodec2 = pytest.importorskip("pycodec2")
    lines = (real_data / "eval" / "manifest.jsonl").read_text().splitlines()
    errors = []
    for clip in [clip for clip in map(json.loads, lines) if clip["domain"] == "speech"][::12]:
        wav, rate = soundfile.read(real_data / "eval" / clip["path"], dtype="float32", always_2d=True)
        narrow = resample(torch.from_numpy(wav[:, 0].copy()), rate, 8_000)[: 8 * 8_000]
        codec = pycodec2.Codec2(mode)
        size = codec.samples_per_frame()
        pcm = np.pad((narrow.clamp(-1, 1) * 32767).short().numpy(), (0, -len(narrow) % size))
        out = np.concatenate([codec.decode(codec.encode(frame)) for frame in pcm.reshape(-1, size)])[: len(narrow)]
        est = resample(torch.from_numpy(out.astype(np.float32) / 32768), 8_000, RATE)
        errors.append(delay_ms(resample(narrow, 8_000, RATE), est, RATE).value - milliseconds)
    assert np.abs(errors).max() < 6 and np.abs(errors).mean() < 2  # one step of the envelopes is 5 ms


def test_correlations_equal_scipys():
    g = torch.Generator().manual_seed(0)
    ref, est = torch.randn(700, generator=g), torch.randn(700, generator=g)
    full = scipy.signal.correlate(est.double().numpy(), ref.double().numpy()) / (ref.norm() * est.norm()).item()
    lags = scipy.signal.correlation_lags(700, 700)
    wanted = full[(lags >= -20) & (lags <= 20)]
    assert np.allclose(_correlation(ref[None, None], est[None, None], 20)[0].numpy(), wanted, atol=1e-5)
    for center in (0, 33, -50):  # a block of 105: several, and a torn last one
        wanted = full[(lags >= center - 8) & (lags <= center + 8)]
        assert np.allclose(_near(Pairs([(ref, est)], RATE), [center], 8)[0].numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("samples", [0, 5, -5])
def test_shifting_takes_the_overlap(samples: int):
    ref = torch.arange(100.0)
    a, b = shifted(ref, ref.roll(samples), samples)
    assert len(a) == 100 - abs(samples) and torch.equal(a, b)


def test_no_delay_is_invented_for_a_sound_that_never_changes():
    click = torch.zeros(RATE)
    click[::40] = 0.5  # every frame the same, whatever the lag
    assert delay_ms(click, click.clone(), RATE).value == 0
    assert lags(Pairs([(click, torch.zeros(RATE))], RATE)) == [None]


def test_a_short_clip_beside_a_long_one_is_looked_at_no_further_than_alone():
    """Half of its length; what lies beyond is at the edge, where little sound decides."""
    ref, est = torch.zeros(RATE * 35 // 100), torch.zeros(RATE * 35 // 100)
    burst = torch.randn(640, generator=torch.Generator().manual_seed(0))
    ref[320:960], est[3440:4080] = burst, burst  # 195 ms later
    long = speech_like(2, RATE, seed=1)
    alone, beside = lags(Pairs([(ref, est)], RATE)), lags(Pairs([(long, long), (ref, est)], RATE))
    assert beside[1] == alone[0] and alone[0] is not None and alone[0].envelope < 0.180 * RATE
