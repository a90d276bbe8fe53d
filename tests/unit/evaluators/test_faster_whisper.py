"""Whisper through faster-whisper: what is pinned, where it is looked for, and what its real weights hear where they lie on this machine."""

import re
import sys
from pathlib import Path

import pytest
import torch

from bench.api import UserError
from bench.data.manifests import open_data
from bench.evaluators import asr, faster_whisper, openai_whisper
from bench.evaluators.packages import refuse_missing
from bench.evaluators.texts import words
from bench.weights import download
from bench.weights.download import sha256_of
from tests import whisper_models
from tests.conftest import speech_like
from tests.unit.evaluators.test_asr_models import checkpoint, spoken, wave

pytest.importorskip("faster_whisper", reason="faster-whisper is not installed: pip install --no-deps faster-whisper ctranslate2")


def here(name: str) -> bool:
    """Whether all files of a published model are on this machine."""
    known = faster_whisper.PUBLISHED[name]
    return all(download.present(known.checkpoint(name, file)) for file in known.sha256)


def test_models_are_known_by_their_names_and_pinned() -> None:
    judge = asr.judge("faster-whisper/base")
    assert judge.name == "faster_whisper_base" and judge.label.startswith("faster_whisper_base sha256:d01c3014881c")
    small = asr.judge("faster-whisper/base-int8")
    assert small.name == "faster_whisper_base_int8" and small.label.endswith("weights of 8 bits")
    for known in faster_whisper.PUBLISHED.values():
        assert re.fullmatch("[0-9a-f]{40}", known.revision) and set(known.sha256) == {*faster_whisper.TEXTS, faster_whisper.MODEL}
        assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in known.sha256.values())
    with pytest.raises(UserError, match=r"no recognizer is called 'faster-whisper/bsae': did you mean 'faster-whisper/base'\?"):
        asr.judge("faster-whisper/bsae")


def test_a_missing_package_is_one_line_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    prepare = asr.judge("faster-whisper/base").prepare
    assert prepare is not None
    with pytest.raises(UserError, match=r"need faster-whisper.*: pip install 'audio-tokenizer-bench\[faster-whisper\]'$"):
        prepare()
    monkeypatch.delitem(sys.modules, "faster_whisper")
    refuse_missing("asr", "faster-whisper/base")


def test_files_in_the_cache_folder_are_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path))
    folder = tmp_path / "faster-whisper" / "base"
    folder.mkdir(parents=True)
    for file in faster_whisper.PUBLISHED["base"].sha256:
        (folder / file).write_bytes(b"{}")
    with pytest.raises(UserError, match=r"config.json has sha256 44136fa355b3..., not the pinned 56a6d8110d31...: delete it"):
        faster_whisper.locate("base")
    pins = {file: sha256_of(folder / file) for file in faster_whisper.PUBLISHED["base"].sha256}
    monkeypatch.setattr(faster_whisper, "PUBLISHED", {"base": faster_whisper.Published("o/n", "0" * 40, pins)})
    assert faster_whisper.locate("base") == {file: folder / file for file in pins}


def test_a_folder_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no model.bin, config.json, tokenizer.json: a model of faster-whisper is a folder of"):
        asr.judge(str(tmp_path))
    for file in (faster_whisper.MODEL, *faster_whisper.TEXTS):
        (tmp_path / file).write_bytes(b"{}")
    prepare = asr.judge(str(tmp_path)).prepare
    assert prepare is not None
    with pytest.raises(UserError, match="cannot be read as a model of faster-whisper") as caught:
        prepare()
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One random Whisper as a checkpoint of openai-whisper and as a folder of faster-whisper."""
    pytest.importorskip("whisper", reason="openai-whisper is not installed: pip install --no-deps openai-whisper")
    folder = tmp_path_factory.mktemp("stand_in")
    path = checkpoint(folder / "random.pt")
    return path, whisper_models.ctranslate2(path, folder / "Random.en")


def test_both_packages_hear_the_same_by_the_same_weights(stand_ins: tuple[Path, Path]) -> None:
    path, folder = stand_ins
    judge = asr.judge(str(folder))
    assert judge.name == f"faster_whisper_random_en_{sha256_of(folder / 'model.bin')[:8]}"
    other, recognizer = openai_whisper.load(path, "cpu"), judge.load((), "cpu")
    assert "float32 on cpu" in recognizer.key and recognizer.hears("en") and not recognizer.hears("de")
    wav = speech_like(33.0, 16_000, 2)  # shorter ones: test_whisper_windows.py
    assert recognizer.transcribe(wav, "en") == other.transcribe(wav, "en") != ""
    assert recognizer.transcribe(torch.zeros(0), "en") == ""


def test_a_file_converted_there_and_back_is_the_same(stand_ins: tuple[Path, Path], tmp_path: Path) -> None:
    path, folder = stand_ins
    before, after = (torch.load(p, weights_only=True) for p in (path, whisper_models.openai(folder / "model.bin", tmp_path / "back.pt")))
    assert before["dims"] == after["dims"] and before["model_state_dict"].keys() == after["model_state_dict"].keys()
    assert all(torch.equal(value, after["model_state_dict"][name]) for name, value in before["model_state_dict"].items())


@pytest.mark.slow
def test_both_packages_err_alike_on_real_speech(real_data: Path, tmp_path: Path) -> None:
    if not here("tiny.en"):
        pytest.skip("the weights of faster-whisper/tiny.en are not on this machine")
    files = faster_whisper.locate("tiny.en")
    theirs = openai_whisper.load(whisper_models.openai(files["model.bin"], tmp_path / "tiny.en.pt"), "cpu")
    clips = [clip for clip in open_data(str(real_data / "eval" / "manifest.jsonl")).clips if clip.domain == "speech"]
    rates = {}
    for name, recognizer in {"theirs": theirs, **{k: faster_whisper.load(files, "cpu", k == "int8") for k in ("float32", "int8")}}.items():
        found = [words(*(recognizer.normalise(t, "en") for t in (clip.text, recognizer.transcribe(wave(clip), "en")))) for clip in clips]
        rates[name] = sum(e.count for e in found) / sum(e.length for e in found)
    print(rates)
    assert abs(rates["float32"] - rates["theirs"]) < 0.01 and abs(rates["int8"] - rates["theirs"]) < 0.01 and rates["theirs"] < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", faster_whisper.PUBLISHED)
@pytest.mark.parametrize("kind", ["", "-int8"])
def test_the_published_weights_hear_the_embedded_corpus(name: str, kind: str) -> None:
    if not here(name):
        pytest.skip(
            f"the weights of faster-whisper/{name} are not on this machine: bench run --suite asr --asr-model faster-whisper/{name}"
        )
    recognizer = asr.judge(f"faster-whisper/{name}{kind}").load((), "cpu")
    assert recognizer.hears("en") and recognizer.hears("de") == (name == "base") and not recognizer.hears("xx")
    wrong = total = 0
    for clip in spoken():
        said, heard = (recognizer.normalise(t, "en").split() for t in (clip.text, recognizer.transcribe(wave(clip), "en")))
        wrong, total = wrong + len(set(said) ^ set(heard)), total + len(said)
    assert wrong / total < 0.25
