"""The pitch tracker against sounds of known pitch (judged by mir_eval) and against WORLD's; its columns against numpy and mir_eval."""

import itertools
import json
import math
from pathlib import Path

import mir_eval
import numpy as np
import pytest
import soundfile
import torch

from bench.data.audio import resample
from bench.metrics import pitch
from bench.metrics.pair import Pairs
from bench.metrics.pitch import Tracks, f0_corr, f0_rmse, tracks, vuv_f1
from tests.conftest import import_pyworld, speech_like

RATE = 16_000


def track(wav: torch.Tensor) -> np.ndarray:
    """F0 of one signal."""
    return tracks(Pairs([(wav, wav)], RATE))[0].ref


def voice(hz: np.ndarray, noise: float = 0.0) -> torch.Tensor:
    """Harmonics of a pitch given for each sample; silence where it is 0."""
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    wav = sum(np.cos(k * phase + k) / k * (k * hz < 7000) for k in range(1, 25)) * (hz > 0)
    return torch.from_numpy(0.1 * wav + noise * np.random.default_rng(0).standard_normal(len(hz))).float()


def at_frames(hz: np.ndarray, frames: int) -> np.ndarray:
    return hz[np.minimum(np.arange(frames) * RATE // 100, len(hz) - 1)]


@pytest.mark.parametrize("hz", [65, 80, 100.3, 150, 222.2, 333, 450, 490])
def test_a_steady_pitch_is_found_within_a_fifth_of_a_percent(hz: float):
    found = track(voice(np.full(RATE, float(hz)), noise=1e-3))[4:-4]
    assert np.abs(found / hz - 1).max() < 2e-3


@pytest.mark.parametrize(("start", "end"), [(100, 200), (300, 150), (220, 120), (80, 70)])
def test_a_glide_is_followed_without_lag(start: float, end: float):
    hz = np.geomspace(start, end, RATE)
    found = track(voice(hz))
    error = (found / at_frames(hz, len(found)) - 1)[8:-8]
    assert np.abs(error).max() < 6e-3 and abs(error.mean()) < 2e-3


@pytest.mark.parametrize("noise", [1e-4, 0.02])
def test_words_of_a_melody_are_found_where_they_are(noise: float):
    """By mir_eval's melody measures: recall and false alarms of voicing, pitch within half a semitone."""
    truth = np.concatenate([np.r_[np.geomspace(a, b, 4800), np.zeros(2400)] for a, b in [(110, 140), (200, 170), (95, 90), (260, 310)]])
    found = track(voice(truth, noise))
    reference = at_frames(truth, len(found))
    times = np.arange(len(found)) / 100
    scores = mir_eval.melody.evaluate(times, reference, times, found)
    assert scores["Voicing Recall"] > 0.93 and scores["Voicing False Alarm"] < 0.15  # a frame at each edge
    assert scores["Raw Pitch Accuracy"] > 0.93 and scores["Overall Accuracy"] > 0.93


def test_signals_tracked_together_are_tracked_as_alone():
    wavs = [speech_like(2, RATE, seed=1), 0.1 * speech_like(3.1, RATE, seed=2), torch.zeros(2 * RATE), speech_like(0.7, RATE, seed=3)]
    together = tracks(Pairs([(wavs[0], wavs[1][: 2 * RATE]), *((wav, wav.flip(0)) for wav in wavs[1:])], RATE))
    for found, wav in zip(together, wavs, strict=True):
        assert np.allclose(found.ref, track(wav), rtol=1e-5) and found.ref.any() == wav.any()
    assert np.allclose(together[0].est, track(wavs[1][: 2 * RATE]), rtol=1e-5) and np.allclose(
        together[3].est, track(wavs[3].flip(0)), rtol=1e-5
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_path_is_the_cheapest_of_all(seed: int):
    random = np.random.default_rng(seed)
    hz, height = random.uniform(60, 500, (4, pitch.CANDIDATES)), random.uniform(0, 1, (4, pitch.CANDIDATES))
    worth = 1 - height * (1 - pitch.SHORT_LAGS * pitch.LOWEST / hz)

    def cost(path: tuple[int, ...]) -> float:
        """0 is unvoiced, k > 0 the candidate k - 1."""
        total = sum(worth[frame, state - 1] if state else height[frame].max() for frame, state in enumerate(path))
        for frame, (a, b) in enumerate(itertools.pairwise(path)):
            move = pitch.GLIDE * abs(math.log2(hz[frame, a - 1] / hz[frame + 1, b - 1])) if a and b else pitch.SWITCH * ((a > 0) != (b > 0))
            total += move
        return total

    best = min(itertools.product(range(pitch.CANDIDATES + 1), repeat=4), key=cost)
    expected = [hz[frame, state - 1] if state else 0.0 for frame, state in enumerate(best)]
    assert pitch.cheapest([pitch.Peaks(hz, height)])[0].tolist() == expected


def test_paths_of_unlike_lengths_are_found_as_alone():
    random = np.random.default_rng(0)
    shapes = [(n, pitch.CANDIDATES) for n in random.integers(1, 7, 200)]
    signals = [pitch.Peaks(random.uniform(60, 500, shape), random.uniform(0, 0.7, shape)) for shape in shapes]
    for found, signal in zip(pitch.cheapest(signals), signals, strict=True):
        assert np.array_equal(found, pitch.cheapest([signal])[0])


def test_hiss_and_hum_below_range_have_no_pitch():
    hiss = torch.randn(RATE, generator=torch.Generator().manual_seed(0))
    assert (track(hiss) > 0).mean() < 0.02
    score = f0_rmse(hiss, hiss.clone(), RATE)
    assert math.isnan(score.value) and score.note == "no frame is voiced in both"
    assert vuv_f1(hiss, hiss.clone(), RATE).note == "no voiced frames in the reference"


def test_real_speech_is_tracked_as_world_tracks_it(real_data: Path):
    """DIO + StoneMask and Harvest, both of WORLD, disagree with each other as much as ours does with them."""
    pyworld = import_pyworld()
    lines = (real_data / "eval" / "manifest.jsonl").read_text().splitlines()
    gross, fine, overlap = [], [], []
    for clip in [clip for clip in map(json.loads, lines) if clip["domain"] == "speech"][::8]:
        wav, rate = soundfile.read(real_data / "eval" / clip["path"], dtype="float32", always_2d=True)
        wav = resample(torch.from_numpy(wav[:, 0].copy()), rate, RATE)[: 6 * RATE]
        ours, samples = track(wav), wav.double().numpy()
        coarse, times = pyworld.dio(samples, RATE, f0_floor=60, f0_ceil=500, frame_period=10)
        world = pyworld.stonemask(samples, coarse, times, RATE)[: len(ours)]
        both = (ours[: len(world)] > 0) & (world > 0)
        ratio = ours[: len(world)][both] / world[both]
        gross.append((np.abs(ratio - 1) > 0.2).mean())
        fine.append(np.median(np.abs(ratio - 1)))
        overlap.append(2 * both.sum() / ((ours > 0).sum() + (world > 0).sum()))
    assert np.median(gross) < 0.03 and np.mean(gross) < 0.06
    assert np.mean(fine) < 0.01 and np.mean(overlap) > 0.82


def test_columns_equal_numpy_and_mir_eval_on_the_tracks():
    ref = speech_like(4, RATE, seed=8)
    est = ref.roll(500) + 0.05 * torch.randn(len(ref), generator=torch.Generator().manual_seed(2))
    a, b = track(ref), track(est)
    both = (a > 0) & (b > 0)
    assert both.sum() > 50 and (a > 0).sum() != both.sum()
    assert f0_rmse(ref, est, RATE).value == pytest.approx(np.sqrt(np.mean((a[both] - b[both]) ** 2)))
    assert f0_corr(ref, est, RATE).value == pytest.approx(np.corrcoef(a[both], b[both])[0, 1])
    recall, false_alarm = mir_eval.melody.voicing_measures((a > 0).astype(float), (b > 0).astype(float))
    hits, wrong = recall * (a > 0).sum(), false_alarm * (a == 0).sum()
    assert vuv_f1(ref, est, RATE).value == pytest.approx(2 * hits / (2 * hits + wrong + (a > 0).sum() - hits))


def test_a_pitch_raised_by_a_semitone_shows_in_hertz():
    hz = np.full(RATE, 150.0)
    score = f0_rmse(voice(hz, 1e-4), voice(hz * 2 ** (1 / 12), 1e-4), RATE)
    assert score.value == pytest.approx(150 * (2 ** (1 / 12) - 1), rel=0.02)


def test_a_constant_track_has_no_correlation(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pitch, "tracks", lambda pairs: [Tracks(np.full(100, 150.0), np.full(100, 150.0))])
    score = f0_corr(torch.ones(RATE), torch.ones(RATE), RATE)
    assert math.isnan(score.value) and score.note == "constant pitch"


def test_an_unvoiced_estimate_scores_zero_f1_and_no_pitch():
    ref = voice(np.full(RATE, 150.0))
    est = torch.randn(RATE, generator=torch.Generator().manual_seed(1))
    assert vuv_f1(ref, est, RATE).value < 0.05
    assert math.isnan(f0_corr(ref, est, RATE).value)
