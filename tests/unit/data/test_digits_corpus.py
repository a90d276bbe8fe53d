"""The embedded corpus `digits`: what its manifest promises is what lies beside it. Levels are of full scale, times in seconds."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

HERE = Path(__file__).resolve().parents[3] / "tasks" / "data" / "digits"
LINES: list[dict[str, Any]] = [json.loads(line) for line in (HERE / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def waves() -> dict[str, np.ndarray]:
    """Samples [T] of every clip."""
    found = {}
    for line in LINES:
        wave, rate = soundfile.read(HERE / line["path"])
        assert rate == line["sample_rate"] == 16_000 and wave.ndim == line["channels"] == 1
        found[line["id"]] = wave
    return found


def test_the_manifest_and_the_folder_name_the_same_files() -> None:
    assert sorted(line["path"] for line in LINES) == sorted(p.relative_to(HERE).as_posix() for p in HERE.rglob("*.flac"))
    assert all(hashlib.sha256((HERE / line["path"]).read_bytes()).hexdigest() == line["sha256"] for line in LINES)


def test_every_line_has_every_field() -> None:
    fields = {"path", "id", "domain", "speaker", "text", "alignment", "sha256", "sample_rate", "channels", "duration", "licence"}
    assert all(set(line) == fields and line["licence"] and line["domain"] == "speech" for line in LINES)


def test_ten_voices_say_ten_digits_three_times() -> None:
    assert set(Counter((line["speaker"], line["text"]) for line in LINES).values()) == {3}
    assert len({line["speaker"] for line in LINES}) == len({line["text"] for line in LINES}) == 10


def test_the_audio_takes_at_most_3_megabytes() -> None:
    assert sum((HERE / line["path"]).stat().st_size for line in LINES) + (HERE / "manifest.jsonl").stat().st_size <= 3e6


def test_every_clip_is_a_word_at_its_level(waves: dict[str, np.ndarray]) -> None:
    for line in LINES:
        wave = waves[line["id"]]
        assert round(len(wave) / 16_000, 3) == line["duration"] and 0.25 <= line["duration"] <= 1.1, line["id"]
        assert -12.1 <= 20 * math.log10(np.abs(wave).max()) <= -2.9, line["id"]
        assert abs(wave.mean()) < 1e-3 and np.abs(wave[:20]).max() < 0.01, line["id"]


def test_no_two_clips_are_alike(waves: dict[str, np.ndarray]) -> None:
    takes: dict[tuple[str, str], set[tuple[int, float]]] = {}
    for line in LINES:
        wave = waves[line["id"]]
        takes.setdefault((line["speaker"], line["text"]), set()).add((len(wave), float(np.abs(wave).max())))
    assert {len(different) for different in takes.values()} == {3}


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs the Debian package flite")
def test_a_flite_clip_is_what_the_script_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import render_digits  # pyright: ignore[reportMissingImports]

    takes = [take for take in render_digits.takes_of("rms_deep") if take.digit == "seven"]
    for take, spoken in render_digits.speak(takes, "rms", tmp_path):
        spoken = render_digits.moved(take, spoken)
        fresh = render_digits.master(take, spoken.wave)
        assert render_digits.ctm(take.id, spoken.phones) in (HERE / "phones.ctm").read_text()
        kept = soundfile.read(HERE / "audio" / f"{take.id}.flac", dtype="int16")[0]
        assert fresh.shape == kept.shape and np.abs(fresh.astype(int) - kept).max() <= 1
