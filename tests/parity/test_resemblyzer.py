"""Resemblyzer's encoder against the package itself, version 0.1.4, with the same weights.

Its code needs librosa and webrtcvad, which this project does not: the test is skipped where they are not there.
"""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from bench.evaluators import dvector
from tests.conftest import speech_like

with pytest.MonkeyPatch.context() as patch:
    pkg_resources = ModuleType("pkg_resources")  # gone from setuptools 82; webrtcvad asks it for its own version
    vars(pkg_resources)["get_distribution"] = lambda name: SimpleNamespace(version="2.0.10")
    patch.setitem(sys.modules, "pkg_resources", pkg_resources)
    cure = "the oracle is missing: pip install resemblyzer librosa webrtcvad"
    official = pytest.importorskip("resemblyzer", reason=cure, exc_type=ImportError)

RATE = 16_000


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.599, 1.6, 1.97, 2.5, 3.33, 9.1])
@pytest.mark.parametrize("gain", [0.01, 1.0])
def test_vectors_are_equal(seconds: float, gain: float) -> None:
    wav = gain * speech_like(seconds, RATE, seed=round(10 * seconds))
    oracle, ours = official.VoiceEncoder("cpu", verbose=False), dvector.load("cpu")
    loud = official.audio.normalize_volume(wav.numpy(), official.hparams.audio_norm_target_dBFS, increase_only=True)
    assert torch.allclose(ours(wav), torch.from_numpy(oracle.embed_utterance(loud)), atol=1e-5)


@pytest.mark.parametrize("samples", [1, 8000, 25_440, 25_599, 25_600, 31_519, 31_520, 40_000, 100_000, 160_000, 163_333])
def test_windows_are_equal(samples: int) -> None:
    _, windows = official.VoiceEncoder.compute_partial_slices(samples, rate=1.3, min_coverage=0.75)
    assert [window.start for window in windows] == dvector.partials(samples)
