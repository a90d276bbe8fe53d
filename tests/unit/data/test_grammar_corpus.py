"""The embedded corpus `grammar`: what its manifest and README promise is what lies beside it."""

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

from bench.data.manifests import open_data
from bench.lm.splits import split

HERE = Path(__file__).resolve().parents[3] / "tasks" / "data" / "grammar"
LINES: list[dict[str, Any]] = [json.loads(line) for line in (HERE / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the corpus' own modules importable, for one test."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def test_the_manifest_and_the_folder_name_the_same_files() -> None:
    assert sorted(line["path"] for line in LINES) == sorted(p.relative_to(HERE).as_posix() for p in HERE.rglob("*.opus"))
    assert all(hashlib.sha256((HERE / line["path"]).read_bytes()).hexdigest() == line["sha256"] for line in LINES)


def test_every_line_has_every_field() -> None:
    fields = {"path", "id", "domain", "speaker", "text", "split", "alignment", "sha256", "sample_rate", "channels", "duration", "licence"}
    assert all(set(line) == fields and line["licence"] and line["domain"] == "speech" for line in LINES)


def test_there_are_twenty_minutes_to_learn_from_in_little_space() -> None:
    minutes = {part: math.fsum(line["duration"] for line in LINES if line["split"] == part) / 60 for part in ("train", "dev", "test")}
    assert minutes["train"] >= 20 and minutes["dev"] >= 1.5 and minutes["test"] >= 3
    assert sum((HERE / line["path"]).stat().st_size for line in LINES) <= 5.5e6


def test_the_suite_takes_the_parts_as_they_are() -> None:
    parts = split(open_data("grammar").clips)
    assert [len(part) for part in (parts.train, parts.dev, parts.test)] == [
        827,
        56,
        120,
    ]  # and no speaker or text is in two, or it had refused
    assert {clip.speaker.split("_")[0] for clip in parts.train} == {"awb", "kal16", "ked"}
    assert {clip.speaker.split("_")[0] for clip in parts.dev} | {clip.speaker.split("_")[0] for clip in parts.test} == {"rms", "slt"}


def test_every_clip_is_read_to_the_sample() -> None:
    for line in LINES[::9]:
        wave, rate = soundfile.read(HERE / line["path"])
        assert rate == line["sample_rate"] == 16_000 and wave.ndim == line["channels"] == 1
        assert round(len(wave) / rate, 3) == line["duration"], line["id"]
        assert -13.5 <= 20 * math.log10(np.abs(wave).max()) <= -1.5, line["id"]


@pytest.mark.usefixtures("rooms")
def test_every_word_of_the_language_is_learned_from_often_and_no_other_comes() -> None:
    import sentences  # pyright: ignore[reportMissingImports]

    said = Counter(word for line in LINES if line["split"] == "train" for word in line["text"].split())
    assert set(said) == set(sentences.every_word()) and min(said.values()) >= 30 and len(said) == 110
    assert {word for line in LINES for word in line["text"].split()} == set(said)


@pytest.mark.usefixtures("rooms")
def test_what_is_said_of_a_noun_in_one_part_is_said_of_it_in_no_other() -> None:
    import sentences  # pyright: ignore[reportMissingImports]

    pairs = {part: set() for part in sentences.PARTS}
    for part, count, least in (("train", 0, 30), ("dev", 28, 0), ("test", 30, 0)):
        drawn = sentences.sentences(part, count, least, 1)
        assert {one.text for one in drawn} == {line["text"] for line in LINES if line["split"] == part}
        pairs[part] = {pair for one in drawn for pair in one.pairs}
    assert not pairs["train"] & pairs["test"] and not pairs["train"] & pairs["dev"] and not pairs["dev"] & pairs["test"]
    assert len(pairs["test"]) >= 25


@pytest.mark.usefixtures("rooms")
def test_sentences_agree() -> None:
    import sentences  # pyright: ignore[reportMissingImports]

    singular, plural = sentences.DETERMINERS[0][:-1], sentences.DETERMINERS[1][:-1]
    for line in LINES:
        words = line["text"].split()
        nouns = [word for word in words if word in sentences.NOUNS or word in map(sentences.plural, sentences.NOUNS)]
        told = [word for word in words if word in (*singular, *plural, "the")]
        assert len(nouns) == len(told), line["text"]
        assert all((noun in sentences.NOUNS) == (word in singular) for noun, word in zip(nouns, told, strict=True) if word != "the")
        if "themselves" in words:
            assert nouns[0] not in sentences.NOUNS
        for word in {"itself", "himself", "herself"} & set(words):
            assert sentences.NOUNS[nouns[0]] == word


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs the Debian package flite")
@pytest.mark.usefixtures("rooms")
def test_a_flite_clip_is_what_the_script_makes(tmp_path: Path) -> None:
    import render_grammar  # pyright: ignore[reportMissingImports]

    mine = [one for one in render_grammar.readings() if one.voice == "slt_deep"][:1]
    for one, spoken in render_grammar.speak(mine, "slt", tmp_path):
        spoken = render_grammar.moved(one, spoken)
        assert render_grammar.ctm(one.id, spoken.phones) in (HERE / "phones.ctm").read_text()
        fresh = render_grammar.write(one, render_grammar.master(one, spoken.wave), _folder(tmp_path))
        kept, made = (soundfile.read(folder / fresh["path"])[0] for folder in (HERE, tmp_path))
        assert kept.shape == made.shape and np.abs(kept - made).max() < 0.01


def _folder(path: Path) -> Path:
    (path / "audio").mkdir()
    return path
