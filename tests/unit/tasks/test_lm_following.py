"""What the language-model suite asks of its first model, on toy audio: the text decides one codebook, the voice the other."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import UserError
from bench.data.manifests import open_data
from bench.engine.run import Options, Run, run
from bench.lm import models, options
from bench.lm.network import BODIES, Body
from bench.tasks.lm import SUITE
from tests.one_run import column, mean
from tests.toy_levels import LEVELS, RATE, rendered, variant

SECONDS, FRAMES = 2.0, 40
SPEAKERS, TEXTS = 8, 8
ASKED = "text,recover,next"
COLUMNS = (
    *("text_bits_per_s", "recover_share_noise_10db", "recover_share_noise_0db", "recover_share_overlap_0db"),
    *("next_acc_voice", "next_acc_voice_1s", "next_acc_text", "next_acc_text_1s"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 clips: everyone says everything once."""
    root, rng = tmp_path_factory.mktemp("said"), np.random.default_rng(0)
    texts, lines = rng.integers(LEVELS, size=(TEXTS, FRAMES // 4)), []
    for speaker in range(SPEAKERS):
        for text in texts:
            voice = np.where(rng.random(FRAMES) < 0.8, speaker % LEVELS, rng.integers(LEVELS, size=FRAMES))
            name = f"{len(lines)}.wav"
            soundfile.write(root / name, rendered(np.stack([text.repeat(4), voice], 1), SECONDS), RATE, subtype="FLOAT")
            lines.append({"path": name, "text": " ".join("abcd"[letter] for letter in text), "speaker": f"s{speaker}"})
    (root / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """The budget of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.tasks.lm.SEEDS", 1)
        patch.setattr(models, "budget", lambda seconds: 100)
        patch.setattr(models, "RATE", 2e-2)
        patch.setitem(BODIES, "small", Body(32, 1, 32, 1))
        yield


def ran(folder: Path, asked: str, results: str = "results", **facts: str) -> Run:
    """With these facts of every clip in place of its own."""
    assert SUITE.with_asked
    data = open_data(str(folder))
    data = replace(data, clips=tuple(replace(clip, **facts) for clip in data.clips), sha256=data.sha256 + "".join(facts))
    return next(iter(run([variant()], SUITE.with_asked(asked), data, Options(folder / results, workers=1))))


@pytest.fixture(scope="module")
def told(folder: Path) -> Run:
    return ran(folder, ASKED)


def test_columns_are_there_that_were_asked_for_and_no_others(folder: Path, told: Run) -> None:
    tested = column(told, "lm_bits_per_s")
    assert len(tested) > 3 and all(column(told, name).keys() == tested.keys() for name in COLUMNS)
    assert all(math.isfinite(mean(told, name)) for name in COLUMNS)
    plain = ran(folder, "")
    assert not any(column(plain, name) for name in COLUMNS) and mean(plain, "lm_bits_per_s") == mean(told, "lm_bits_per_s")


def test_what_is_saved_is_counted_in_the_bits_of_the_first_model(told: Run) -> None:
    (shared,) = told.folder.parent.glob("models-*")
    model = json.loads((shared / "depth-small-0.json").read_text())
    (given,) = (json.loads(path.read_text()) for path in shared.glob("depth-small-0-text-*.json"))
    for clip, row in column(told, "text_bits_per_s").items():
        assert row.value * SECONDS == pytest.approx(sum(model["bits"][clip]) - sum(given["bits"][clip])) and row.weight == SECONDS
    assert all(row.weight == pytest.approx(sum(model["bits"][clip])) for clip, row in column(told, "recover_share_noise_0db").items())
    assert all(0 <= row.value <= 1 and row.weight >= 1 for row in column(told, "next_acc_voice").values())


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("models-*/*"))}


@pytest.mark.slow
def test_a_stopped_run_asks_nothing_twice_and_ends_as_if_never_stopped(folder: Path, told: Run) -> None:
    (shared,) = told.folder.parent.glob("models-*")
    assert len(list(shared.glob("depth-small-0-*.json"))) == 5 and (shared / "depth-small-0.safetensors").is_file()
    (lost,) = shared.glob("depth-small-0-text-*.json")
    outcome, before, rows = lost.read_text(), times(folder), told.folder / "rows.csv"
    lost.unlink()
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:30]))
    again = ran(folder, ASKED)
    assert sorted(map(str, again.rows)) == sorted(map(str, told.rows)) and lost.read_text() == outcome
    assert {path for path, then in times(folder).items() if before[path] != then} == {str(lost)}


@pytest.mark.slow
def test_a_model_whose_weights_were_not_kept_is_trained_again_and_is_the_same(folder: Path, told: Run) -> None:
    (shared,) = told.folder.parent.glob("models-*")
    outcome = (shared / "depth-small-0.json").read_text()
    (shared / "depth-small-0.safetensors").unlink()
    ran(folder, "next")
    assert (shared / "depth-small-0.safetensors").is_file() and (shared / "depth-small-0.json").read_text() == outcome


def notes(found: Run, name: str) -> set[str]:
    return {row.note for row in column(found, name).values() if math.isnan(row.value)}


@pytest.mark.slow
def test_without_transcripts_there_is_nothing_to_tell(folder: Path) -> None:
    mute = ran(folder, "text,next", text="")
    assert notes(mute, "text_bits_per_s") == {"no transcripts to learn from"}
    assert notes(mute, "next_acc_text") == {"too short, or no other clip by the same voice to compare with"}


@pytest.mark.slow
def test_of_a_model_that_did_not_converge_nothing_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "budget", lambda seconds: 20)
    monkeypatch.setattr(models, "RATE", 5e-3)
    astray = ran(folder, ASKED, "astray")
    assert all(notes(astray, name) == {"the model did not converge in 20 steps"} for name in COLUMNS)


def test_words_of_the_command_line_are_known() -> None:
    assert options.parse("next,text").following == ("text", "next")
    with pytest.raises(UserError, match="did you mean 'recover'"):
        options.parse("recovr")
