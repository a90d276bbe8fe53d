"""ECAPA-TDNN: equal to SpeechBrain's class on weights made here, pinned, and a speaker model by name."""

from pathlib import Path

import pytest
import torch

from bench.api import UserError
from bench.evaluators import ecapa, speaker
from bench.evaluators.packages import package
from bench.weights.files import seeded
from tests.conftest import speech_like

RATE = 16_000
KNOWN = (-0.0206209, -0.0506667, -0.0343662, -0.0806147)  # the first of 192, of SpeechBrain's Fbank and ECAPA_TDNN


def small() -> ecapa.Ecapa:
    torch.manual_seed(0)
    model = ecapa.Ecapa(32, 48)
    seeded(model, torch.Generator().manual_seed(0))
    return model.eval()


def test_it_says_what_speechbrain_1_1_2_says(tmp_path: Path) -> None:
    torch.save(small().state_dict(), tmp_path / "e.ckpt")
    embed = ecapa.load_file(tmp_path / "e.ckpt", ecapa.Ecapa(32, 48), "cpu")
    vector = embed(speech_like(1.3, RATE))
    assert vector.shape == (192,) and float(vector.norm()) == pytest.approx(1, abs=1e-5)
    assert vector[:4].tolist() == pytest.approx(KNOWN, abs=1e-4)
    assert float(vector @ embed(speech_like(1.3, RATE, 5))) < 0.999
    with pytest.raises(UserError, match="e.ckpt does not fit this configuration"):
        ecapa.load_file(tmp_path / "e.ckpt", ecapa.Ecapa(64, 48), "cpu")


def test_the_published_shape_has_the_tensors_of_the_published_file() -> None:
    names = ecapa.Ecapa().state_dict()
    assert len(names) == 231 and names["fc.conv.weight"].shape == (192, 6144, 1)  # 231 tensors are in embedding_model.ckpt


def test_levels_do_not_matter() -> None:
    wav = speech_like(1, RATE)
    assert torch.allclose(ecapa.features(wav), ecapa.features(wav / 10), atol=1e-3)


def test_it_is_a_speaker_model_by_name() -> None:
    judge = speaker.judge("ecapa-voxceleb")
    assert judge.name == "ecapa_voxceleb" and judge.sha256.startswith("0575cb64845e") and package("speaker", "ecapa-voxceleb") is None
