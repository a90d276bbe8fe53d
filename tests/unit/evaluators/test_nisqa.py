"""NISQA: its answers on weights made here and on its authors' file where that is, and the licence that is said before a fetch."""

from pathlib import Path

import pytest
import torch

from bench.api import UserError
from bench.evaluators import nisqa, quality
from bench.evaluators.sounds import Sound
from bench.weights import download, licences
from bench.weights.files import seeded
from tests.conftest import speech_like

KNOWN = {  # seconds of speech_like -> what the authors' NISQA_DIM says, on librosa 0.11's spectra: mos, noi, dis, col, loud
    1.0: (1.5443, 2.9627, 2.4786, 2.8911, 2.8787),
    3.3: (1.4762, 3.1051, 2.8003, 2.3308, 2.4287),
}


@pytest.fixture
def network() -> nisqa.Nisqa:
    """With weights made here."""
    torch.manual_seed(0)
    model = nisqa.Nisqa()
    seeded(model, torch.Generator().manual_seed(0))
    return model


def official(model: nisqa.Nisqa) -> dict[str, torch.Tensor]:
    """The state under the names of the authors' file."""
    pairs = (
        *(("convolutions.", "cnn.model.conv"), ("norms.", "cnn.model.bn"), ("projection.", "time_dependency.model.linear.")),
        *(("norm.", "time_dependency.model.norm1."), ("layers.", "time_dependency.model.layers.")),
    )
    state = {}
    for name, value in model.state_dict().items():
        if name.startswith(("attention.", "answers.")):
            kind, pool, *rest = name.split(".")
            layer = "linear3" if kind == "answers" else {"0": "linear1", "2": "linear2"}[rest.pop(0)]
            state[f"pool_layers.{pool}.model.{layer}.{rest[0]}"] = value
        else:
            ours, theirs = next(pair for pair in pairs if name.startswith(pair[0]))
            state[theirs + name.removeprefix(ours)] = value
    return state


def test_a_file_of_the_authors_form_gives_the_same_answers(network: nisqa.Nisqa, tmp_path: Path) -> None:
    torch.save({"args": {"ms_sr": None, "name": "x"}, "model_state_dict": official(network)}, tmp_path / "n.tar")
    loaded, sounds = nisqa.load_file(tmp_path / "n.tar", "cpu"), [Sound(speech_like(1, 48_000)), Sound(speech_like(0.6, 48_000, 1))]
    answers = loaded(sounds)
    with torch.inference_mode():
        said = network.eval()(nisqa.segments_of(sounds[0].est)).tolist()
    assert answers[0] == pytest.approx([said[i] for i in (0, 1, 3, 2, 4)]) and answers[0] != answers[1] and len(set(answers[0])) == 5
    assert loaded(sounds[1:]) == answers[1:]
    torch.save({"model_state_dict": {}}, tmp_path / "bad.tar")
    with pytest.raises(UserError, match="bad.tar does not fit this configuration"):
        nisqa.load_file(tmp_path / "bad.tar", "cpu")


def test_a_clip_of_more_than_52_seconds_has_no_answer(network: nisqa.Nisqa) -> None:
    scorer = nisqa.Scorer(network, "cpu")
    assert scorer.answer(torch.zeros(1301, 1, 48, 15)) == "the audio is too long: NISQA hears 52 s"


def test_levels_are_kept_and_the_floor_is_80_decibels_down() -> None:
    wav = speech_like(1, 48_000)
    loud, soft = nisqa.decibels(wav), nisqa.decibels(wav / 10)
    assert float(loud.max() - soft.max()) == pytest.approx(20, abs=1e-3) and float(loud.max() - loud.min()) <= 80.001
    assert loud.shape == (101, 48) and nisqa.segments_of(wav).shape == (22, 1, 48, 15)


def test_its_licence_is_said_before_a_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path))
    monkeypatch.delenv(licences.ACCEPTED, raising=False)
    with pytest.raises(UserError, match=r"nisqa.tar: CC-BY-NC-SA-4.0: no commercial use .*--accept-licence CC-BY-NC-SA-4.0"):
        nisqa.load("cpu")
    assert {m.name for m in quality.panel("nisqa").metrics} >= {"nisqa_mos", "nisqa_mos_original", "nisqa_col"}


def test_it_says_what_its_authors_code_says() -> None:
    if not download.present(nisqa.FILE):
        pytest.skip(f"{nisqa.FILE.file} is not in the cache folder: bench run --suite quality --quality-model nisqa fetches it")
    scorer = nisqa.load("cpu")
    for seconds, (mos, noi, dis, col, loud) in KNOWN.items():
        assert scorer([Sound(speech_like(seconds, 48_000))])[0] == pytest.approx((mos, noi, col, dis, loud), abs=2e-4)
