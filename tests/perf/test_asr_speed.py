"""How much audio a CPU second hears through faster-whisper and through openai-whisper, by the same weights, at what word error rate.

    pytest tests/perf/test_asr_speed.py -m perf -s

On the speech of ../shared/data/eval, or every ASR_STEP-th clip of it. CPU seconds are user and system time of this process: they hold
beside other work, as wall time does not. The weights must be in the cache folder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import Tensor

from bench.api import Clip
from bench.data.manifests import open_data
from bench.evaluators import faster_whisper, openai_whisper
from bench.evaluators.texts import words
from tests import whisper_models
from tests.unit.evaluators.test_asr_models import wave
from tests.unit.evaluators.test_faster_whisper import here

LEAST = 2.0  # times the audio per CPU second
APART = 0.01  # of word error rates


@dataclass(frozen=True)
class Found:
    """Of one way through all clips."""

    audio_per_cpu_s: float
    wer: float


def clocked(clips: Sequence[Clip], hear: Callable[[list[Tensor]], list[str]]) -> Found:
    """All clips, read before."""
    wavs = [wave(clip) for clip in clips]
    start = time.process_time()
    texts = hear(wavs)
    spent = time.process_time() - start
    normalise = openai_whisper.normaliser("en")
    errors = [words(normalise(clip.text), normalise(text)) for clip, text in zip(clips, texts, strict=True)]
    return Found(sum(map(len, wavs)) / 16_000 / spent, sum(e.count for e in errors) / sum(e.length for e in errors))


@pytest.mark.perf
@pytest.mark.parametrize("name", faster_whisper.PUBLISHED)
def test_faster_whisper_hears_twice_the_audio_at_the_same_error_rate(name: str, real_data: Path, tmp_path: Path) -> None:
    if not here(name):
        pytest.skip(f"the weights of faster-whisper/{name} are not on this machine")
    step = int(os.environ.get("ASR_STEP", "1"))
    clips = [clip for clip in open_data(str(real_data / "eval" / "manifest.jsonl")).clips if clip.domain == "speech"][::step]
    files = faster_whisper.locate(name)
    theirs = openai_whisper.load(whisper_models.openai(files["model.bin"], tmp_path / "openai.pt"), "cpu")
    found = {"openai-whisper": clocked(clips, lambda wavs: theirs.transcribe_all(wavs, "en"))}
    for kind in ("float32", "int8"):
        ours = faster_whisper.load(files, "cpu", kind == "int8")
        found[kind] = clocked(clips, lambda wavs, ours=ours: ours.transcribe_all(wavs, "en"))
    for kind, one in found.items():
        print(f"{name} {kind}: {one.audio_per_cpu_s:.1f} s of audio per CPU second, WER {one.wer:.4f}")
    base = found.pop("openai-whisper")
    for one in found.values():
        assert one.audio_per_cpu_s > LEAST * base.audio_per_cpu_s and abs(one.wer - base.wer) < APART
