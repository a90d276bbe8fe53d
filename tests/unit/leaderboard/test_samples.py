"""Samples of the leaderboards: which clips, made once, and again when something changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.data import manifests
from bench.leaderboard import listening
from bench.leaderboard.aggregate import Board, Entry
from bench.records.reader import Kept
from tests.runs import made

CORPUS = manifests.open_data(listening.CORPUS)
SPEECH = [clip.id for clip in CORPUS.clips if clip.domain == "speech"]


def run_of(label: str, **facts) -> Kept:
    """A run on the bundled corpus: the later a clip comes, the better it is."""
    scores = {domain: {"quality": {}, "kbps_packed": {}} for domain in ("speech", "music", "general")}
    for i, clip in enumerate(CORPUS.clips):
        scores[clip.domain]["quality"][clip.id] = float(i)
        scores[clip.domain]["kbps_packed"][clip.id] = 128.0
    return made(label, scores, suite="reconstruction", data=CORPUS.sha256, **facts)


def board(*runs: Kept) -> tuple[list[Board], dict[str, Kept]]:
    return [Board(tuple(map(Entry, runs)))], {run.label: run for run in runs}


@pytest.fixture
def mulaw() -> Kept:
    return run_of("mulaw@8bit")


def test_the_clips_are_the_worst_median_and_best_by_score(mulaw: Kept) -> None:
    clips = listening.chosen(board(mulaw)[0], CORPUS)
    assert [pick.clip.id for pick in clips[:3]] == [SPEECH[0], SPEECH[12], SPEECH[-1]]
    assert [pick.clip.domain for pick in clips] == ["speech"] * 3 + ["music", "general"]
    assert clips[0].why == "worst of 24 by quality"
    other = made("a@b", {"speech": {"quality": {"x": 1.0}}}, suite="reconstruction")
    assert listening.chosen(board(other)[0], CORPUS) == (), "of other data there is nothing to hear"


def test_samples_are_made_once_and_again_when_the_tokenizer_or_a_file_changed(tmp_path: Path, mulaw: Kept) -> None:
    folder = tmp_path / "audio"

    def make(*runs: Kept) -> list[str]:
        return list(listening.make(folder, *board(*runs), CORPUS))

    assert make(mulaw) == ["audio of original: 5 clips", "audio of mulaw@8bit: 5 clips"]
    assert make(mulaw) == [] and listening.wrong(folder, *board(mulaw), CORPUS) == []
    assert len(list(folder.glob("*.js"))) == 10
    text = listening.render(folder, *board(mulaw), CORPUS)
    assert "mulaw@8bit" in text and "Opus, 72 kbit/s" in text and "FLAC" in text and SPEECH[0] in text
    entry = listening._list(folder)["mulaw@8bit"]["files"][SPEECH[0]]
    (tmp_path / entry["file"]).write_text("alert(1)")
    assert "not the audio that its name says" in str(listening.wrong(folder, *board(mulaw), CORPUS))
    (tmp_path / entry["file"]).unlink()
    assert make(mulaw) == ["audio of mulaw@8bit: 5 clips"]
    other = run_of("mulaw@8bit", codebooks=[[16, 8000.0]])
    assert listening.wrong(folder, *board(other), CORPUS) == [f"{folder}: samples of another mulaw@8bit, or of other clips"]
    (folder / "0123.js").write_text("somebody's")
    assert listening.wrong(folder, *board(mulaw), CORPUS) == [f"{folder}/0123.js: nobody's sample"]
    assert make(run_of("resample@8khz"))[0] == "audio of mulaw@8bit taken away: it is on no board"
    assert "0123.js" not in [path.name for path in folder.iterdir()]


def test_a_tokenizer_that_cannot_be_heard_here_is_told_and_left_out(tmp_path: Path) -> None:
    runs = board(run_of("mimi@mini", weights="sha256:1"), run_of("no@body"))
    original, other, nobody = listening.make(tmp_path / "audio", *runs, CORPUS)
    assert "other weights" in other and "no tokenizer is called 'no@body'" in nobody
    assert list(listening._list(tmp_path / "audio")) == ["original"]


def test_the_original_itself_and_another_clip_are_not_heard_as_tokenizers() -> None:
    runs = {label: run_of(label) for label in ("identity@float32", "mulaw@8bit")}
    assert list(listening.heard(runs)) == ["mulaw@8bit"]
