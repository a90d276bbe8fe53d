"""Every quality evaluator puts Opus at 6, 12 and 24 kbit/s in order: real speech and music, minutes of computing (marker slow)."""

from collections import defaultdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench import registry
from bench.api import Clip, UserError
from bench.data.audio import read_clip, resample, to_channels
from bench.data.manifests import open_data
from bench.evaluators import quality
from bench.evaluators.sounds import Sound
from tests.conftest import speech_like

SECONDS = 5
RATES = ("opus@6kbps", "opus@12kbps", "opus@24kbps")
EVALUATORS = (*quality.panel("default").members, quality.WARPQ, quality.NISQA)


def reconstructed(name: str, wav: Tensor, rate: int) -> tuple[Tensor, int]:
    """wav [1, T] through a codec, at the codec's rate."""
    codec = registry.load_tokenizer(name)
    to = codec.spec.sample_rate or rate
    given = resample(wav, rate, to)
    return codec.decode(codec.encode(given[None]))[0, :, : given.shape[-1]], to


def rated(evaluator: quality.QualityEvaluator, clip: Clip) -> dict[str, tuple[float, ...]]:
    """What it says of a clip's first seconds, of the original and of each bitrate."""
    audio = read_clip(clip)
    wav = to_channels(audio.wav, 1)[:, : SECONDS * audio.sample_rate]
    rate, found = evaluator.rates[clip.domain], {}
    ref = resample(wav, audio.sample_rate, rate)[0]
    for name in (*RATES, "original"):
        est, at = (wav, audio.sample_rate) if name == "original" else reconstructed(name, wav, audio.sample_rate)
        heard = resample(est, at, rate)[0]
        heard = torch.nn.functional.pad(heard, (0, len(ref) - len(heard)))
        (answer,) = quality.loaded(evaluator, "cpu")([Sound(heard, ref if evaluator.compares else None)])
        assert isinstance(answer, tuple), answer
        found[name] = answer
    return found


@pytest.mark.slow
@pytest.mark.parametrize("evaluator", EVALUATORS, ids=lambda e: e.name)
def test_more_bits_are_rated_higher(evaluator: quality.QualityEvaluator, real_data: Path) -> None:
    try:
        quality.loaded(evaluator, "cpu")
    except UserError as error:
        pytest.skip(str(error))
    domain = next(iter(evaluator.rates))
    clips = [clip for clip in open_data(str(real_data / "eval" / "manifest.jsonl")).clips if clip.domain == domain]
    scores: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for clip in clips[:: max(1, len(clips) // 6)][:6]:
        for name, answer in rated(evaluator, clip).items():
            scores[name].append(answer)
    for place, column in enumerate(evaluator.columns):
        sign = -1 if column.better == "lower" else 1
        means = [sign * sum(answer[place] for answer in scores[name]) / len(scores[name]) for name in (*RATES, "original")]
        assert means[0] < means[1] < means[2], f"{column.name}: {means}"
        assert not evaluator.compares or means[2] < means[3], f"{column.name}: {means}"


@pytest.mark.parametrize("evaluator", [quality.WARPQ], ids=lambda e: e.name)
def test_more_noise_is_rated_lower(evaluator: quality.QualityEvaluator) -> None:
    ref = speech_like(2, 16_000, 4)
    noise = torch.randn(len(ref), generator=torch.Generator().manual_seed(0))
    answers = quality.loaded(evaluator, "cpu")([Sound(ref + level * noise, ref) for level in (0.0, 1e-4, 3e-3, 0.1)])
    values = [answer[0] for answer in answers if isinstance(answer, tuple)]
    assert values == sorted(values) and values[0] < 0.7 < 2 < values[-1]
