"""TorchAudio-SQUIM: its columns, its pin, and its real network with weights made here where torchaudio can be used."""

from pathlib import Path

import pytest
import torch

from bench.api import UserError
from bench.data import torchaudio_guard
from bench.evaluators import quality, squim
from bench.evaluators.sounds import Sound
from bench.weights.files import seeded
from tests.conftest import speech_like


def test_its_columns_are_estimates_and_say_so() -> None:
    (member,) = quality.panel("squim").members
    assert [column.name for column in member.columns] == ["squim_stoi", "squim_pesq", "squim_si_sdr"] and not member.compares
    assert member.label == f"squim sha256:{squim.FILE.sha256}" and all("estimated" in column.about for column in member.columns)


def test_without_torchaudio_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchaudio_guard, "guard", lambda: "it is not installed")
    with pytest.raises(UserError, match=r"torchaudio cannot be used .*pip install 'audio-tokenizer-bench\[torchaudio\]'"):
        squim.load("cpu")


def test_each_sound_has_three_answers_by_the_weights_of_the_file(tmp_path: Path) -> None:
    if why := torchaudio_guard.guard():
        pytest.skip(f"torchaudio: {why}: pip install --no-deps torchaudio")
    model = torchaudio_guard.load().models.squim_objective_base()
    seeded(model, torch.Generator().manual_seed(0))
    torch.save(model.state_dict(), tmp_path / "s.pth")
    sounds = [Sound(speech_like(0.6, 16_000, seed)) for seed in (0, 1)]
    one, other = squim.load_file(tmp_path / "s.pth", "cpu")(sounds)
    with torch.inference_mode():
        expected = [float(said) for said in model.eval()(sounds[0].est[None])]
    assert list(one) == pytest.approx(expected, abs=1e-5) and len(one) == 3 and one != other
