"""HuBERT with a head of letters: what transformers' own model says on the same random weights, and where the files are looked for."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from bench.api import UserError
from bench.evaluators import asr, hubert_ctc
from bench.weights.download import HubFile
from tests.conftest import speech_like

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", "E", "T", "A"]


@pytest.fixture(scope="module", params=[True, False], ids=["large", "base"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model in the form of the large ones, which norm before and every convolution, or of the base ones."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install transformers")
    large = request.param
    torch.manual_seed(0)
    config = transformers.HubertConfig(
        vocab_size=len(LETTERS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=(32,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        feat_extract_norm="layer" if large else "group",
        conv_bias=large,
        do_stable_layer_norm=large,
    )
    place = tmp_path_factory.mktemp("ctc") / "Some-CTC"
    model = transformers.HubertForCTC(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    model.save_pretrained(place)
    (place / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(LETTERS)}))
    return place


@pytest.mark.parametrize("seconds", [0.03, 1.0, 2.37])
def test_logits_are_those_of_transformers(folder: Path, seconds: float) -> None:
    from transformers import HubertForCTC, Wav2Vec2FeatureExtractor

    ours, theirs = hubert_ctc.load(folder, "cpu"), HubertForCTC.from_pretrained(folder).eval()
    wav = speech_like(seconds, 16_000, 1)
    scale = Wav2Vec2FeatureExtractor(do_normalize=ours.scaled)
    with torch.inference_mode():
        expected = theirs(scale(wav.numpy(), sampling_rate=16_000, return_tensors="pt").input_values).logits
        torch.testing.assert_close(ours.model(ours._scaled(wav)[None, None]), expected, atol=2e-4, rtol=1e-4)


def test_repeats_count_once_and_blanks_and_marks_fall_out() -> None:
    letters = tuple("" if letter.startswith("<") else letter for letter in LETTERS)
    assert hubert_ctc.spelled([0, 6, 6, 0, 6, 4, 4, 0, 7, 5, 0, 5, 4], letters) == "tt aee"
    assert hubert_ctc.spelled([0, 4, 0], letters) == "" and hubert_ctc.spelled([], letters) == ""


def test_a_folder_is_a_recognizer_told_apart_by_its_weights(folder: Path) -> None:
    judge = asr.judge(str(folder))
    assert judge.name.startswith("some_ctc_") and len(judge.name) == len("some_ctc_") + 8 and judge.prepare is not None
    recognizer = judge.load((), "cpu")
    assert recognizer.hears("en") and not recognizer.hears("de") and not recognizer.in_workers
    assert set(recognizer.transcribe(speech_like(1.0, 16_000), "en")) <= set("eta ") and recognizer.transcribe(torch.zeros(0), "en") == ""


def test_what_is_lacking_is_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(
        UserError, match="has no config.json: a CTC model of transformers is a folder of its weights, config.json, vocab.json"
    ):
        asr.judge(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    prepare = asr.judge(str(tmp_path)).prepare
    assert prepare is not None
    with pytest.raises(UserError, match="config.json describes no HuBERT or wav2vec 2.0"):
        prepare()


def test_the_papers_model_is_taken_from_the_hubs_cache_or_told_how_to_fetch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HubFile, "cached", lambda self: None)
    with pytest.raises(
        UserError, match=r"hf download facebook/hubert-large-ls960-ft .*--revision ece5fabbf034c1073acae96d5401b25be96709d8"
    ):
        asr.judge("hubert-large-ls960-ft")
    monkeypatch.setattr(HubFile, "cached", lambda self: folder / self.file)
    judge = asr.judge("hubert-large-ls960-ft")
    assert judge.name == "hubert_large_ls960_ft" and judge.sha256 in judge.label


def test_whether_sound_is_scaled_is_read_where_it_is_said(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    usual, sha256 = hubert_ctc.load(own, "cpu").scaled, hubert_ctc.sha256_of_files(hubert_ctc.files_of(own))
    (own / "preprocessor_config.json").write_text(json.dumps({"do_normalize": not usual}))
    assert hubert_ctc.load(own, "cpu").scaled is not usual
    assert hubert_ctc.sha256_of_files(hubert_ctc.files_of(own)) != sha256
