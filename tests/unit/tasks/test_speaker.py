"""The speaker suite as the engine runs it: with an encoder made here, that tells voices by their pitch, and with resemblyzer's."""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor

from bench.api import Codebook, Data, Spec, Suite, UserError, Variant
from bench.cli import main
from bench.data.manifests import open_data
from bench.engine.run import Options, run
from bench.evaluators import dvector, speaker
from bench.evaluators.speaker import SpeakerJudge
from bench.tasks.speaker import SUITE, suite
from tests.conftest import ROOT
from tests.one_run import Noisy, column, mean, once

RATE = 16_000
PITCHES = {"anna": 100.0, "bert": 150.0, "carl": 230.0}


def encoder(heard: list[int], device: str) -> speaker.SpeakerEncoder:
    """Power at each multiple of 10 Hz up to 400, as a unit vector; notes the length of everything it hears."""

    def embed(wav: Tensor, /) -> Tensor:
        heard.append(len(wav))
        time = torch.arange(len(wav)) / RATE
        tones = torch.exp(2j * torch.pi * 10 * torch.arange(1, 41)[:, None] * time)
        return torch.nn.functional.normalize((tones @ wav.to(tones.dtype)).abs(), dim=0)

    return embed


@pytest.fixture
def heard() -> list[int]:
    """Lengths of the waves that the judge was given, in samples."""
    return []


@pytest.fixture
def pitch(heard: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Suite:
    """The suite with the judge made here, and a cache folder of its own."""
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    return suite(SpeakerJudge("pitch", "ab" * 32, "", partial(encoder, heard)))


@pytest.fixture
def resemblyzer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Suite:
    """The suite as it is; the test is skipped where the package is not installed."""
    try:
        metadata.distribution(dvector.PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip("resemblyzer is not installed: pip install --no-deps resemblyzer")
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    return SUITE


def voice(speaker_: str, take: int, seconds: float) -> Tensor:
    generator = torch.Generator().manual_seed(10 * list(PITCHES).index(speaker_) + take)
    time = torch.arange(round(seconds * RATE)) / RATE
    pitch_ = PITCHES[speaker_] * (1 + 0.003 * torch.rand(1, generator=generator))
    return 0.3 * torch.sin(2 * torch.pi * pitch_ * time) + 0.01 * torch.randn(len(time), generator=generator)


def manifest(folder: Path, lines: Sequence[tuple[str, str, Tensor]]) -> Path:
    """A manifest of (speaker, domain, wav)."""
    folder.mkdir()
    entries = []
    for i, (speaker_, domain, wav) in enumerate(lines):
        soundfile.write(folder / f"{i}.wav", wav.numpy(), RATE, subtype="FLOAT")
        entries.append({"path": f"{i}.wav", "id": f"clip{i}", "speaker": speaker_, "domain": domain})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder / "manifest.jsonl"


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """Three speakers with three clips each, and one of music."""
    lines = [(name, "speech", voice(name, take, 0.6 + 0.05 * i)) for take in range(3) for i, name in enumerate(PITCHES)]
    return open_data(str(manifest(tmp_path / "data", [*lines, ("", "music", voice("anna", 9, 1.0))])))


def test_identity_loses_nothing_and_the_floor_knows_nobody(pitch: Suite, data: Data, tmp_path: Path) -> None:
    same, other = (once(name, pitch, data, tmp_path / "r") for name in ("identity", "shuffled"))
    assert all(row.value == pytest.approx(1, abs=1e-6) for row in column(same, "spk_sim_pitch").values())
    for of in ("spk_id_acc_pitch", "spk_eer_pitch"):
        assert [row.value for row in column(same, of).values()] == [row.value for row in column(same, f"{of}_original").values()]
        assert column(other, f"{of}_original") == column(same, f"{of}_original")
    assert (mean(same, "spk_id_acc_pitch"), mean(same, "spk_eer_pitch")) == (1, 0)
    assert mean(other, "spk_id_acc_pitch") == 0 and mean(other, "spk_eer_pitch") >= 0.5 and mean(other, "spk_sim_pitch") < 0.5
    assert mean(same, "spk_trials_pitch") == mean(other, "spk_trials_pitch") == 2 * 9 * 2


def test_every_clip_has_its_rows_and_music_has_none_but_its_end(pitch: Suite, data: Data, tmp_path: Path) -> None:
    done = once("identity", pitch, data, tmp_path / "r")
    names = {"spk_sim_pitch", "spk_id_acc_pitch", "spk_id_acc_pitch_original", "seconds"}
    assert all({row.metric for row in done.rows if row.clip == f"clip{i}"} == names for i in range(9))
    assert [(row.metric, row.value) for row in done.rows if row.clip == "clip9"] == [("seconds", 0.0)]
    assert {row.metric for row in done.rows if row.clip == "*"} == {"spk_eer_pitch", "spk_eer_pitch_original", "spk_trials_pitch"}
    assert {summary.domain for summary in done.summaries} == {"speech"}


def test_an_original_is_heard_once_for_all_tokenizers(pitch: Suite, data: Data, tmp_path: Path, heard: list[int]) -> None:
    first = once("identity", pitch, data, tmp_path / "r")
    assert len(heard) == 9 + 9
    once("mulaw", pitch, data, tmp_path / "r")
    assert len(heard) == 9 + 9 + 9
    assert once("identity", pitch, data, tmp_path / "again").rows == first.rows  # what is kept is exact
    assert len(heard) == 9 + 9 + 9 + 9
    another = suite(SpeakerJudge("pitch", "cd" * 32, "", partial(encoder, heard)))
    once("identity", another, data, tmp_path / "r")
    assert len(heard) == 36 + 18


def test_a_finished_run_asks_nobody(pitch: Suite, data: Data, tmp_path: Path, heard: list[int]) -> None:
    first = once("identity", pitch, data, tmp_path / "r")
    heard.clear()
    second = once("identity", pitch, data, tmp_path / "r")
    assert not heard and second.rows == first.rows and second.fresh_clips == 0


@pytest.mark.parametrize("left", [4, 10])
def test_a_stopped_run_ends_in_the_rows_of_a_straight_one(pitch: Suite, data: Data, tmp_path: Path, left: int) -> None:
    noisy = Variant(Spec("noisy", "0db", RATE, (Codebook(1 << 16, RATE),)), partial(Noisy, decibels=0.0))
    whole = once(noisy, pitch, data, tmp_path / "whole")
    part = once(noisy, pitch, data, tmp_path / "part")
    path = part.folder / "rows.csv"
    lines = path.read_text().splitlines(keepends=True)
    kept = {f"clip{i}" for i in (9, 3, 0, 7, 5, 1, 2, 4, 8, 6)[:left]}
    path.write_text("".join(line for i, line in enumerate(lines) if i == 0 or line.split(",")[0] in kept))
    seen: list[int] = []
    again = run([noisy], pitch, data, Options(tmp_path / "part", workers=1), lambda label, done, total: seen.append(done))
    assert next(iter(again)).fresh_clips == 10 - left and (seen[0], seen[-1]) == (left, 10)
    assert path.read_text() == (whole.folder / "rows.csv").read_text()


class Silent(Noisy):
    """Gives nothing back but silence."""

    def decode(self, codes: Tensor) -> Tensor:
        return torch.zeros(codes.shape)


class Failing(Noisy):
    """Cannot take a clip of 0.65 s."""

    def encode(self, wav: Tensor) -> Tensor:
        if wav.shape[-1] == round(0.65 * RATE):
            raise ValueError("cannot take it")
        return super().encode(wav)


def made(kind: type[Noisy], decibels: float = 60.0) -> Variant:
    return Variant(Spec(kind.__name__.lower(), f"{decibels:g}db", RATE, (Codebook(1 << 16, RATE),)), partial(kind, decibels=decibels))


def test_what_has_no_voice_is_missing_with_a_reason(pitch: Suite, tmp_path: Path) -> None:
    lines = [(name, "speech", voice(name, take, 0.6)) for take in range(2) for name in ("anna", "bert")]
    odd = [("anna", "speech", voice("anna", 5, 0.4)), ("bert", "speech", 0 * voice("bert", 5, 0.6)), ("", "speech", voice("carl", 5, 0.6))]
    single = [("carl", "speech", voice("carl", 6, 0.6))]
    done = once("identity", pitch, open_data(str(manifest(tmp_path / "odd", [*lines, *odd, *single]))), tmp_path / "r")
    notes = {
        "clip4": ("original is shorter than 0.5 s", "original is shorter than 0.5 s"),
        "clip5": ("original is silent", "original is silent"),
        "clip6": ("", "its speaker is not named"),
        "clip7": ("", "the only clip of its speaker: nothing to enrol"),
    }
    for metric, which in (("spk_sim_pitch", 0), ("spk_id_acc_pitch", 1), ("spk_id_acc_pitch_original", 1)):
        rows = column(done, metric)
        for clip, expected in notes.items():
            assert math.isnan(rows[clip].value) == bool(expected[which]) and rows[clip].note == expected[which]
        assert all(rows[f"clip{i}"].value == pytest.approx(1) for i in range(4))
    assert column(done, "spk_trials_pitch")["*"].value == 2 * 4  # those four, and their strangers


def test_a_reconstruction_without_a_voice_leaves_the_originals_scores(pitch: Suite, data: Data, tmp_path: Path) -> None:
    done = once(made(Silent), pitch, data, tmp_path / "r")
    assert {row.note for row in column(done, "spk_sim_pitch").values()} == {"reconstruction is silent"}
    assert all(math.isnan(row.value) for row in column(done, "spk_id_acc_pitch").values())
    assert mean(done, "spk_id_acc_pitch_original") == 1 and mean(done, "spk_eer_pitch_original") == 0
    assert column(done, "spk_eer_pitch")["*"].note == "no trial has both voices" and mean(done, "spk_trials_pitch") == 0


def test_a_clip_that_the_tokenizer_cannot_take_is_missing_from_its_trials_alone(pitch: Suite, data: Data, tmp_path: Path) -> None:
    done = once(made(Failing), pitch, data, tmp_path / "r")
    failed = {clip for clip, row in column(done, "spk_sim_pitch").items() if "cannot take it" in row.note}
    assert failed == {"clip1", "clip4", "clip7"}
    assert mean(done, "spk_trials_pitch") == 2 * 6 * 2 and mean(done, "spk_eer_pitch") == 0


def test_audio_is_saved_of_speech_and_of_what_the_suite_does_not_score(pitch: Suite, data: Data, tmp_path: Path) -> None:
    once("identity", pitch, data, tmp_path / "r", save_audio=tmp_path / "audio")
    assert len(list((tmp_path / "audio" / "identity@float32").glob("*.wav"))) == 10


def test_data_without_speech_is_refused(pitch: Suite, tmp_path: Path) -> None:
    music = open_data(str(manifest(tmp_path / "music", [("", "music", voice("anna", 0, 0.6))])))
    with pytest.raises(UserError, match="no clip that the speaker suite could score .speech."):
        once("identity", pitch, music, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_missing_package_stops_the_run_before_it_leaves_a_trace(data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", gone)
    speaker.loaded.cache_clear()
    with pytest.raises(UserError) as caught:
        once("identity", SUITE, data, tmp_path / "r")
    assert str(caught.value).startswith("the speaker encoder resemblyzer is not installed: pip install") and "\n" not in str(caught.value)
    assert not (tmp_path / "r").exists()


@pytest.fixture
def spoken() -> Data:
    """Three voices of the embedded corpus."""
    whole = open_data("mini")
    voices = ("awb", "rms", "slt")
    return replace(whole, name="spoken", clips=tuple(clip for clip in whole.clips if clip.speaker in voices), sha256="spoken")


def test_noise_takes_the_voice_away_step_by_step(resemblyzer: Suite, spoken: Data, tmp_path: Path) -> None:
    levels = [once(made(Noisy, decibels), resemblyzer, spoken, tmp_path / "r") for decibels in (60, 30, 15, 0)]
    likeness = [mean(done, "spk_sim_resemblyzer") for done in levels]
    assert likeness[0] > 0.999 and all(more - less > 0.02 for more, less in zip(likeness, likeness[1:], strict=False))
    known = [mean(done, "spk_id_acc_resemblyzer") for done in levels]
    assert known[0] == 1 and known == sorted(known, reverse=True) and known[-1] < 0.8
    errors = [mean(done, "spk_eer_resemblyzer") for done in levels]
    assert errors[0] < 0.05 and errors == sorted(errors) and errors[-1] > 0.15
    assert {mean(done, "spk_eer_resemblyzer_original") for done in levels} == {mean(levels[0], "spk_eer_resemblyzer_original")}


def test_the_command_line_ends_in_a_table(resemblyzer: Suite, tmp_path: Path) -> None:
    words = ("run", "--suite", "speaker", "--tokenizer", "identity", "--limit", "9", "--results", str(tmp_path / "r"))
    done = subprocess.run([sys.executable, "-m", "bench", *words], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "spk_sim_resemblyzer (cosine) ↑" in done.stdout and "1.000" in done.stdout
    assert f"resemblyzer sha256:{dvector.SHA256}" in next((tmp_path / "r").rglob("run.json")).read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--suite speaker --speaker-model wavlm",
            "no speaker model is called 'wavlm'. Known: resemblyzer, wavlm-base-plus-sv, ecapa-voxceleb",
        ),
        ("--suite speaker --speaker-model tests", "tests is no speaker model: it must hold config.json"),
        ("--speaker-model resemblyzer", "--speaker-model belongs to --suite speaker"),
    ],
)
def test_a_wrong_word_is_one_line_and_leaves_no_trace(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str, message: str
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["run", "--tokenizer", "identity", *words.split(), "--results", str(tmp_path / "r")]) == 2
    printed = capfd.readouterr()
    assert not printed.out and printed.err.count("\n") == 1 and message in printed.err and not (tmp_path / "r").exists()
