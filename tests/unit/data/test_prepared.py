"""bench data prepare: ends without silence, one loudness, one channel, and a manifest that keeps what was known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import torch

from bench.api import UserError
from bench.data import prepared
from bench.data.audio import read_clip
from bench.data.decoders import BadAudio
from bench.data.loudness import loudness
from bench.data.manifests import open_data
from bench.data.prepared import HIGHEST, Preparation, levelled, prepare, trimmed
from tests.conftest import speech_like

RATE = 16_000


def noise(seconds: float, level: float = 0.1) -> torch.Tensor:
    return level * torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips that can be heard, one of them in stereo, and two that cannot be used."""
    place = tmp_path / "raw"
    place.mkdir()
    sounds = {"a": speech_like(1.5, RATE, 1), "b": 0.01 * speech_like(1.2, RATE, 2), "silent": torch.zeros(RATE), "short": noise(0.2)}
    for name, wav in sounds.items():
        soundfile.write(place / f"{name}.wav", wav.numpy(), RATE)
    soundfile.write(place / "both.wav", torch.stack([noise(1.0), noise(1.0)], -1).numpy(), RATE)
    lines = [{"path": f"{name}.wav", "speaker": name, "label:mood": "calm"} for name in (*sounds, "both")]
    (place / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return place


def stop(name: str, done: int, of: int) -> None:
    """Ctrl-C after two clips."""
    if done == 2:
        raise KeyboardInterrupt


def test_silence_goes_at_both_ends_but_for_the_margin_and_never_inside() -> None:
    quiet = 1e-4 * noise(0.5, 1.0)  # 60 dB below
    wav = torch.cat([quiet, noise(0.6), quiet, noise(0.6), quiet])
    kept = trimmed(wav, RATE, Preparation(margin=0.1))
    assert len(kept) / RATE == pytest.approx(0.6 + 0.5 + 0.6 + 0.2, abs=0.021)
    assert torch.equal(trimmed(wav, RATE, Preparation(silence=0)), wav)
    assert len(trimmed(wav, RATE, Preparation(silence=70))) == len(wav)


def test_a_clip_has_the_loudness_that_was_asked_for_unless_its_peak_forbids_it() -> None:
    wav = 0.01 * speech_like(2.0, RATE)
    ready, held = levelled(wav, RATE, Preparation(loudness=-26.0))
    assert loudness(ready, RATE) == pytest.approx(-26.0, abs=0.01) and not held
    click = wav.clone()
    click[100] = 0.5
    ready, held = levelled(click, RATE, Preparation(loudness=-20.0))
    assert held and float(ready.abs().max()) == pytest.approx(HIGHEST)
    assert levelled(wav, RATE, Preparation(loudness=None))[0] is wav


def test_what_cannot_be_heard_is_told() -> None:
    with pytest.raises(BadAudio, match="is silent"):
        trimmed(torch.zeros(RATE), RATE, Preparation())
    with pytest.raises(BadAudio, match=r"0\.20 s long"):
        trimmed(noise(0.2), RATE, Preparation())
    with pytest.raises(BadAudio, match="too soft"):
        levelled(noise(1.0, 1e-5), RATE, Preparation())


def test_the_folder_is_a_data_set_with_all_that_was_known(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "ready"
    made = prepare(open_data(str(folder)), out, Preparation(rate=8_000))
    assert made.clips == 3 and [line.split(":")[0] for line in made.left_out] == ["silent.wav", "short.wav"]
    clips = open_data(str(out), verify=True).clips
    assert [(clip.id, clip.speaker, clip.label("mood")) for clip in clips] == [(f"{n}.wav", n, "calm") for n in ("a", "b", "both")]
    for clip in clips:
        facts = soundfile.info(clip.path)
        assert (facts.samplerate, facts.channels, facts.subtype) == (8_000, 1, "PCM_16")
        wav, rate = soundfile.read(clip.path, dtype="float32")
        assert loudness(torch.from_numpy(wav), rate) == pytest.approx(-23.0, abs=0.02)
    with pytest.raises(UserError, match="holds data already"):
        prepare(open_data(str(folder)), out, Preparation())


def test_data_of_which_nothing_is_left_is_an_error(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", torch.zeros(RATE).numpy(), RATE)
    with pytest.raises(UserError, match=r"no clip is left: silent\.wav: is silent"):
        prepare(open_data(str(tmp_path)), tmp_path / "ready", Preparation())


def test_what_was_stopped_goes_on_with_the_clips_that_are_not_there(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = open_data(str(folder)), tmp_path / "ready"
    whole = prepare(data, tmp_path / "whole", Preparation())

    with pytest.raises(KeyboardInterrupt):
        prepare(data, out, Preparation(), stop)
    with (out / "unfinished.jsonl").open("a") as notes:
        notes.write('{"number": 4, "entry"')  # killed while it wrote
    read: list[str] = []
    monkeypatch.setattr(prepared, "read_clip", lambda clip: read.append(clip.id) or read_clip(clip))
    assert prepare(data, out, Preparation()) == whole
    assert read == [clip.id for clip in data.clips[2:]]
    manifest = (out / "manifest.jsonl").read_bytes()
    assert manifest == (tmp_path / "whole" / "manifest.jsonl").read_bytes() and not (out / "unfinished.jsonl").exists()


def test_what_was_begun_in_another_way_or_is_damaged_is_made_again(folder: Path, tmp_path: Path) -> None:
    data, out = open_data(str(folder)), tmp_path / "ready"

    with pytest.raises(KeyboardInterrupt):
        prepare(data, out, Preparation(loudness=-30.0), stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(data, out, Preparation(), stop)
    (out / "audio" / "000001.flac").write_bytes(b"torn")
    prepare(data, out, Preparation())
    for clip in open_data(str(out), verify=True).clips:
        audio = read_clip(clip)
        assert loudness(audio.wav[0], audio.sample_rate) == pytest.approx(-23.0, abs=0.02)


def test_an_output_that_is_a_file_is_told_before_any_work(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"cannot write to .*file \(Not a directory\): give another folder"):
        prepare(open_data(str(folder)), tmp_path / "file", Preparation())
    assert (tmp_path / "file").read_text() == "mine"
