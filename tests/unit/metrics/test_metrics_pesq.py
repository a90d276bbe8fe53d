"""PESQ: the package's own pair, and everything that must never reach its C code."""

import math
import sys
from pathlib import Path

import numpy as np
import pesq as package
import pytest
import soundfile
import torch

from bench.api import UserError
from bench.metrics import METRICS
from bench.metrics.pair import Pairs
from bench.metrics.pesq import _pesq, pesq_nb, pesq_wb
from tests.conftest import speech_like


def noisy(seconds: float, rate: int, seed: int = 0, level: float = 0.02) -> tuple[torch.Tensor, torch.Tensor]:
    ref = speech_like(seconds, rate, seed)
    return ref, ref + level * torch.randn(len(ref), generator=torch.Generator().manual_seed(seed))


def test_the_packages_own_pair_gives_its_published_scores(real_data: Path):
    ref, est = (torch.from_numpy(soundfile.read(real_data / "conformance" / f"{name}.wav", dtype="float32")[0])
                for name in ("speech", "speech_bab_0dB"))  # fmt: skip
    assert pesq_wb(ref, est, 16_000).value == pytest.approx(1.0832337141036987, abs=1e-6)
    assert _pesq(Pairs([(ref, est)], 16_000), "nb")[0].value == pytest.approx(1.6072081327438354, abs=1e-6)
    assert pesq_wb(ref, ref, 16_000).value == pytest.approx(4.644, abs=1e-3)
    assert _pesq(Pairs([(ref, ref)], 16_000), "nb")[0].value == pytest.approx(4.549, abs=1e-3)


@pytest.mark.parametrize("name", ["pesq_wb", "pesq_nb"])
def test_ref_comes_first_and_the_mode_is_the_columns(name: str):
    rate = METRICS[name].rates["speech"]
    ref, est = noisy(3, rate)
    direct = package.pesq(rate, ref.numpy(), est.numpy(), name[-2:])
    assert METRICS[name].score(ref, est, rate).value == pytest.approx(direct, abs=1e-9)  # type: ignore[misc]
    assert abs(direct - package.pesq(rate, est.numpy(), ref.numpy(), name[-2:])) > 0.01, "the pair is too symmetric to show an exchange"


def test_a_long_clip_is_the_length_weighted_mean_of_windows_of_at_most_30_s(monkeypatch: pytest.MonkeyPatch):
    lengths, values = [], iter([1.0, 2.0, 4.0])
    monkeypatch.setattr(package, "pesq", lambda rate, ref, est, mode: (lengths.append(len(ref)), next(values))[1])
    ref = speech_like(1, 16_000).repeat(61)[:-1]
    score = pesq_wb(ref, ref, 16_000)
    assert len(lengths) == 3 and sum(lengths) == len(ref) and max(lengths) <= 30 * 16_000
    assert score.value == pytest.approx(np.average([1, 2, 4], weights=lengths), abs=1e-12) and score.weight == 1


def test_a_window_without_speech_is_left_out():
    ref, est = noisy(40, 8_000)
    ref[len(ref) // 2 :] = 0
    spoken = pesq_nb(ref[: len(ref) // 2].clone(), est[: len(ref) // 2].clone(), 8_000)
    assert pesq_nb(ref, est, 8_000).value == pytest.approx(spoken.value, abs=1e-9)


@pytest.mark.parametrize(
    "case", ["lengths differ", "shorter than 1 s", "silent reference", "silent estimate", "NaN", "not defined at", "empty"]
)
def test_what_the_c_code_would_get_wrong_never_reaches_it(case: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(package, "pesq", lambda *_: pytest.fail("the C code was called"))
    ref, est = noisy(2, 16_000)
    rate = 16_000
    match case:
        case "lengths differ":
            est = est[:-1]
        case "shorter than 1 s":
            ref, est = ref[:15_999], est[:15_999]
        case "silent reference":
            ref = ref * 1e-6
        case "silent estimate":
            est = est * 0
        case "NaN":
            est[5] = math.nan
        case "not defined at":
            rate = 24_000
        case "empty":
            ref, est = ref[:0], est[:0]
    score = pesq_wb(ref, est, rate)
    assert math.isnan(score.value) and case in score.note


@pytest.mark.parametrize("error", ["NoUtterancesError", "BufferTooShortError", "OutOfMemoryError", "InvalidSampleRateError", "PesqError"])
def test_each_error_of_the_package_is_a_missing_score(error: str, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> float:
        raise getattr(package, error)(b"message")

    monkeypatch.setattr(package, "pesq", fail)
    score = pesq_wb(*noisy(1.5, 16_000), 16_000)
    assert math.isnan(score.value) and score.note.startswith("no utterance found" if error == "NoUtterancesError" else f"pesq: {error}")


def test_a_missing_package_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(UserError, match=r"pip install 'audio-tokenizer-bench\[pesq\]'"):
        pesq_wb(*noisy(1.5, 16_000), 16_000)
