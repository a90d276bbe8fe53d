"""The other versions of a clip: as noisy as they say, and talked over by somebody of the same part."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from bench.api import Clip
from bench.data.audio import BadAudio
from bench.lm.changed import changes

RATE = 8000


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Four constant tones of 100 Hz and more, two speakers twice."""
    found = []
    for i in range(4):
        tone = 0.1 * np.sin(2 * np.pi * 100 * (i + 1) * np.arange(RATE) / RATE)
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, tone, RATE, subtype="FLOAT")
        found.append(Clip(f"c{i}", path, hashlib.sha256(path.read_bytes()).hexdigest(), "speech", f"s{i % 2}"))
    return found


def tone(clip: Clip) -> torch.Tensor:
    return torch.from_numpy(soundfile.read(clip.path, dtype="float32")[0])[None, None]


def test_noise_is_so_far_below_the_clip_and_the_same_again(clips: list[Clip]) -> None:
    asked, wav = changes([clips], 0), tone(clips[0])
    for name, snr in (("noise_10db", 10), ("noise_0db", 0)):
        added = asked[name](wav, RATE, clips[0]) - wav
        assert 10 * torch.log10(wav.square().mean() / added.square().mean()).item() == pytest.approx(snr, abs=0.2)
        assert torch.equal(added, asked[name](wav, RATE, clips[0]) - wav)
        assert not torch.allclose(added, asked[name](wav, RATE, clips[1]) - wav)


def test_the_second_voice_is_as_loud_and_of_another_speaker_of_the_same_part(clips: list[Clip]) -> None:
    asked = changes([clips[:2], clips[2:]], 0)["overlap_0db"]
    for clip, other in ((0, 1), (1, 0), (2, 3), (3, 2)):
        assert torch.allclose(asked(tone(clips[clip]), RATE, clips[clip]), tone(clips[clip]) + tone(clips[other]), atol=1e-4)


def test_who_is_alone_is_talked_over_by_nobody(clips: list[Clip]) -> None:
    with pytest.raises(BadAudio, match="no other clip"):
        changes([clips[:1]], 0)["overlap_0db"](tone(clips[0]), RATE, clips[0])
