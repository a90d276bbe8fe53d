"""The embedded corpus `mini`: what its manifest promises is what lies beside it. Levels are of full scale, times in seconds."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

HERE = Path(__file__).resolve().parents[3] / "tasks" / "data" / "mini"
LINES: list[dict[str, Any]] = [json.loads(line) for line in (HERE / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
SPEECH = [line for line in LINES if line["domain"] == "speech"]
IDS = [line["id"] for line in LINES]


@pytest.fixture()
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts beside the corpus import each other as scripts do."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def test_the_manifest_and_the_folder_name_the_same_files() -> None:
    assert sorted(line["path"] for line in LINES) == sorted(p.relative_to(HERE).as_posix() for p in HERE.rglob("*.flac"))
    assert len(set(IDS)) == len(IDS)


def test_every_line_has_every_field() -> None:
    fields = {"path", "id", "domain", "speaker", "text", "sha256", "sample_rate", "channels", "duration", "licence"}
    assert all(set(line) - {"alignment"} == fields and line["licence"] for line in LINES)
    assert all(("alignment" in line) == (line["domain"] == "speech") for line in LINES)


def test_no_path_leaves_the_corpus() -> None:
    for line in LINES:
        assert ".." not in Path(line["path"]).parts and (HERE / line["path"]).resolve().is_relative_to(HERE)


def test_there_are_24_speech_8_music_and_8_general_clips() -> None:
    assert Counter(line["domain"] for line in LINES) == {"speech": 24, "music": 8, "general": 8}


def test_speech_has_a_speaker_and_a_text_and_the_rest_has_neither() -> None:
    assert all(bool(line["speaker"]) == bool(line["text"]) == (line["domain"] == "speech") for line in LINES)


def test_two_texts_are_read_by_every_one_of_seven_voices() -> None:
    readers: defaultdict[str, set[str]] = defaultdict(set)
    for line in SPEECH:
        readers[line["text"]].add(line["speaker"])
    assert len({line["speaker"] for line in SPEECH}) == 7
    assert sorted(len(voices) for voices in readers.values()) == [1] * 10 + [7, 7]


def test_the_speech_runs_at_a_talkers_pace() -> None:
    for line in SPEECH:  # three words a second or so; a wrong transcript or a clipped reading falls outside
        assert 2.0 <= len(line["text"].split()) / line["duration"] <= 4.5, line["id"]


def test_rates_and_channels_vary() -> None:
    assert {line["sample_rate"] for line in SPEECH} == {16_000, 24_000, 32_000}
    assert {line["sample_rate"] for line in LINES} >= {44_100, 48_000}
    assert sum(line["channels"] == 2 for line in LINES) == 2


def test_the_audio_takes_at_most_8_megabytes() -> None:
    assert sum((HERE / line["path"]).stat().st_size for line in LINES) <= 8e6


@pytest.mark.parametrize("line", LINES, ids=IDS)
def test_a_clip_is_what_its_line_says_and_well_levelled(line: dict[str, Any]) -> None:
    path = HERE / line["path"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == line["sha256"]
    wave, rate = soundfile.read(path, always_2d=True)
    assert (rate, wave.shape[1], soundfile.info(path).subtype) == (line["sample_rate"], line["channels"], "PCM_16")
    assert round(len(wave) / rate, 3) == line["duration"] and 2.5 <= line["duration"] <= 6
    assert -3.1 <= 20 * math.log10(np.abs(wave).max()) <= -2.9
    assert np.abs(wave.mean(0)).max() < 1e-3
    frames = wave[: len(wave) // (rate // 50) * (rate // 50)].mean(1).reshape(-1, rate // 50)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(1)) > 10 ** (-60 / 20))
    assert np.diff(np.concatenate([[-1], loud, [len(frames)]])).max() * 0.02 <= 0.6, "a silence longer than 0.6 s"


def off_by(made: Any) -> int:
    """The largest difference, in steps of 16 bits, between a clip rendered now and the committed one."""
    import render  # pyright: ignore[reportMissingImports]

    kept = soundfile.read(HERE / "audio" / f"{made.id}.flac", dtype="int16", always_2d=True)[0]
    fresh = render.master(made)
    assert fresh.shape == kept.shape
    return int(np.abs(fresh.astype(int) - kept).max())


@pytest.mark.usefixtures("scripts")
def test_the_general_sounds_are_what_the_script_makes() -> None:
    import render  # pyright: ignore[reportMissingImports]

    assert max(off_by(made) for made in render.general()) <= 1  # another processor may round a sample the other way


@pytest.mark.usefixtures("scripts")
@pytest.mark.skipif(shutil.which("flite") is None, reason="needs the Debian package flite")
def test_a_flite_clip_is_what_the_script_makes(tmp_path: Path) -> None:
    import render  # pyright: ignore[reportMissingImports]

    spoken = render.trim(render.speak("rms", render.SHARED["canoe"], tmp_path))
    assert off_by(render.Made("speech_rms_canoe", "speech", spoken.wave[:, None], spoken.rate, "")) <= 1
    assert render.ctm("speech_rms_canoe", spoken.phones) in (HERE / "phones.ctm").read_text()


@pytest.mark.usefixtures("scripts")
def test_the_midi_writer_gives_a_well_formed_file() -> None:
    import music  # pyright: ignore[reportMissingImports]

    assert [music.varint(n) for n in (0, 127, 128, 16_384)] == [b"\x00", b"\x7f", b"\x81\x00", b"\x81\x80\x00"]  # the standard's own table
    data = music.midi(music.Piece(120, 1, (music.Part(5, ((0, 1, 60, 100),)),)))
    body = bytes.fromhex("00ff510307a120 00b00a40 00c005 00903c64 8360803c00 8f00ff2f00")
    assert data == bytes.fromhex("4d546864 00000006 0000 0001 01e0 4d54726b") + len(body).to_bytes(4, "big") + body
