"""The language-model suite on toy audio whose codes are known, as a run makes it: splits, columns, resuming, refusals."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench import registry
from bench.api import Clip, UserError
from bench.data.manifests import open_data
from bench.engine.run import Options, Run, run
from bench.lm import models, options, prequential
from bench.lm.network import BODIES, Body
from bench.lm.streams import Stream
from bench.tasks.lm import SUITE
from tests.one_run import column, mean
from tests.toy_levels import LEVELS, RATE, SECONDS, Levels, Refusing, rendered, variant
from tests.toy_sources import source

SPEAKERS, TEXTS = 6, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """108 clips: everyone says everything three times. The text decides nothing; the codes are of a known source."""
    root = tmp_path_factory.mktemp("levels")
    codes = iter(source(1, LEVELS).sample(SPEAKERS * TEXTS * 3, 21, 1))
    lines = []
    for name in (f"{s}-{t}-{take}" for s in range(SPEAKERS) for t in range(TEXTS) for take in range(3)):
        soundfile.write(root / f"{name}.wav", rendered(next(codes)), RATE, subtype="FLOAT")
        lines.append({"path": f"{name}.wav", "text": f"text {name[2]}", "speaker": f"s{name[0]}"})
    (root / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """The budget of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.tasks.lm.SEEDS", 2)
        patch.setattr(models, "budget", lambda seconds: 60)
        patch.setattr(models, "RATE", 1e-2)
        patch.setitem(BODIES, "small", Body(32, 1, 32, 1))
        yield


def ran(folder: Path, asked: str = "", kind: type[Levels] = Levels, columns: int = 2, fresh: bool = False) -> Run:
    assert SUITE.with_asked
    how = Options(folder / "results", workers=1, fresh=fresh)
    return next(iter(run([variant(kind, columns)], SUITE.with_asked(asked), open_data(str(folder)), how)))


@pytest.fixture(scope="module")
def plain(folder: Path) -> Run:
    return ran(folder)


@pytest.fixture(scope="module")
def more(folder: Path, plain: Run) -> Run:
    return ran(folder, "parallel,prequential")


def pooled(found: Run) -> dict[str, float]:
    return {row.metric: row.value for row in found.rows if row.clip == "*"}


def test_bits_are_counted_per_second_of_real_audio(plain: Run) -> None:
    rows = column(plain, "lm_bits_per_s")
    assert all(row.weight == pytest.approx(SECONDS) for row in rows.values())
    assert {row.value for row in column(plain, "lm_positions_per_s").values()} == {21 / SECONDS}
    held = [json.loads(path.read_text()) for path in sorted(plain.folder.parent.glob("models-*/depth-small-*.json"))]
    assert len(held) == 2
    for clip, row in rows.items():
        assert row.value * SECONDS == pytest.approx(sum(sum(one["bits"][clip]) for one in held) / 2)


def test_the_columns_agree_with_each_other(plain: Run) -> None:
    bits, uniform = mean(plain, "lm_bits_per_s"), 21 / SECONDS * 2 * math.log2(LEVELS)
    assert mean(plain, "lm_gain") == pytest.approx(1 - bits / uniform)
    assert 0 < mean(plain, "lm_gain_context") < mean(plain, "lm_gain")
    assert mean(plain, "lm_bits_per_char") == pytest.approx(bits * SECONDS / len("text 0"))
    books = pooled(plain)
    assert books["lm_codebook_bits_per_s_cb1"] + books["lm_codebook_bits_per_s_cb2"] == pytest.approx(bits)
    assert mean(plain, "lm_bits_2s") == pytest.approx(bits)  # clips are shorter than that
    assert books["lm_spread"] < 0.1 * bits and books["lm_params"] > 0.01 and books["lm_macs_per_s"] > 0.1


def test_only_clips_of_the_test_have_scores_and_all_are_done(plain: Run) -> None:
    rows = column(plain, "lm_bits_per_s")
    assert {row.speaker for row in rows.values()} == {clip[0] and f"s{clip[0]}" for clip in rows} and len(rows) == 12
    assert len(column(plain, "seconds")) == 108
    note = next(row.note for row in plain.rows if row.metric == "lm_converged")
    assert "3 speakers and 3 texts in train, 1 speakers and 1 texts in dev, 2 speakers and 2 texts in test" in note


def test_what_is_not_asked_for_has_no_column(plain: Run, more: Run) -> None:
    assert not column(plain, "lm_cost_parallel") and "lm_bits_prequential" not in pooled(plain)
    assert not column(more, "lm_cost_delayed") and len(column(more, "lm_cost_parallel")) == 12
    assert mean(more, "lm_cost_parallel") > 0 and mean(more, "lm_bits_per_s") == mean(plain, "lm_bits_per_s")


def test_the_prequential_code_charges_the_learning(more: Run) -> None:
    uniform = 21 / SECONDS * 2 * math.log2(LEVELS)
    assert mean(more, "lm_bits_per_s") < pooled(more)["lm_bits_prequential"] < 1.02 * uniform


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*.json"))}


def test_runs_that_ask_for_other_columns_share_their_models(plain: Run, more: Run) -> None:
    (shared,) = plain.folder.parent.glob("models-*")
    assert {path.name for path in shared.glob("*.json")} == {
        *(f"{name}-small-{seed}.json" for name in ("depth", "parallel") for seed in (0, 1)),
        *(f"depth-small-0-block{block}.json" for block in (1, 2, 3, 4)),
    }
    assert plain.folder != more.folder


def test_a_stopped_run_trains_no_model_twice_and_ends_as_if_never_stopped(folder: Path, plain: Run) -> None:
    (shared,) = plain.folder.parent.glob("models-*")
    rows, lost = plain.folder / "rows.csv", shared / "depth-small-1.json"
    whole, outcome, before = rows.read_text(), lost.read_text(), times(plain.folder.parent)
    rows.write_text("".join(whole.splitlines(keepends=True)[:30]))  # killed while rows were written
    lost.unlink()
    again = ran(folder)
    assert sorted(map(str, again.rows)) == sorted(map(str, plain.rows)) and lost.read_text() == outcome
    changed = {path for path, then in times(plain.folder.parent).items() if before[path] != then}
    assert {str(lost)} <= changed <= {str(lost), str(plain.folder / "run.json")}


def test_a_finished_run_answers_at_once(folder: Path, plain: Run) -> None:
    before = times(plain.folder.parent)
    assert ran(folder).fresh_clips == 0 and times(plain.folder.parent) == before


def test_of_one_codebook_all_layouts_are_the_same(folder: Path) -> None:
    found = ran(folder, "delayed", columns=1)
    rows = column(found, "lm_cost_delayed")
    assert len(rows) == 12 and {row.note for row in rows.values()} == {"one codebook: every layout is the same"}
    assert math.isfinite(mean(found, "lm_bits_per_s"))


def test_clips_that_the_tokenizer_refuses_are_told(folder: Path) -> None:
    found = ran(folder, kind=Refusing)
    loud = {clip: row for clip, row in column(found, "lm_bits_per_s").items() if soundfile.read(folder / clip)[0][0] > 0.4}
    assert 0 < len(loud) < 12 and all(math.isnan(row.value) for row in loud.values())
    assert {row.note for row in loud.values()} == {"tokenizer failed: RuntimeError: too loud"}
    assert "clips are missing (RuntimeError: too loud)" in next(row.note for row in found.rows if row.metric == "lm_converged")


def test_speakers_of_the_training_in_the_test_are_refused(folder: Path) -> None:
    data = open_data(str(folder))
    mixed = replace(data, clips=tuple(replace(clip, split="train" if i % 2 else "test") for i, clip in enumerate(data.clips)))
    with pytest.raises(UserError, match="is in the splits"):
        list(run([variant()], SUITE, mixed, Options(folder / "refused", workers=1)))


def test_data_that_cannot_be_split_have_a_reason(folder: Path) -> None:
    data = open_data(str(folder))
    few = replace(data, clips=tuple(clip for clip in data.clips if clip.speaker == "s0"), sha256="few")
    found = next(iter(run([variant()], SUITE, few, Options(folder / "few", workers=1))))
    assert [row.note for row in found.rows if row.clip == "*"] == [
        "needs speech of three speakers with three texts, so that each part has its own"
    ]


@pytest.mark.parametrize(
    ("name", "why"), [("identity", "samples"), ("opus@6kbps", "variable-rate bytes"), ("mulaw@8bit", "16,000 frames per second")]
)
def test_samples_and_bytes_are_not_modelled(folder: Path, name: str, why: str) -> None:
    found = next(iter(run([registry.variant(name)], SUITE, open_data(str(folder)), Options(folder / "results", workers=1))))
    rows = column(found, "lm_bits_per_s")
    assert len(rows) == 12 and all(math.isnan(row.value) and why in row.note for row in rows.values())


def test_options_are_words_in_one_order() -> None:
    assert str(options.parse(" prequential, delayed")) == "delayed,prequential"
    assert options.parse("large").body == "large" and options.parse("").layouts == ()
    with pytest.raises(UserError, match="'delayd' is none of .*: did you mean 'delayed'"):
        options.parse("delayd")


def test_blocks_of_the_prequential_code_double() -> None:
    clips = tuple(f"c{i}" for i in range(64))
    streams = {clip: Stream(np.zeros((4, 1)), 1.0) for clip in clips}
    found = prequential.blocks(clips, streams, 0)
    assert [len(block) for block in found] == [4, 4, 8, 16, 32] and {clip for block in found for clip in block} == set(clips)
    assert prequential.blocks(clips[:4], streams, 0) == []


def test_nothing_but_speech_is_asked_of(folder: Path) -> None:
    music = Clip("m", folder / "0-0-0.wav", "0", "music")
    data = replace(open_data(str(folder)), clips=(music,), sha256="music")
    with pytest.raises(UserError, match="no clip that the lm suite could score"):
        list(run([variant()], SUITE, data, Options(folder / "music", workers=1)))
