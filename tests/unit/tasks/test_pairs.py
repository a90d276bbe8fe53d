"""The suite of minimal pairs as a run makes it, on some of the bundled corpus with a small model."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from bench.api import Codebook, Data, Spec, Variant
from bench.data.manifests import open_data
from bench.engine.run import Run
from bench.lm.network import BODIES, Body
from bench.pairs import agreement, consistency, examination, words
from bench.pairs.scores import SCORES
from bench.tasks.pairs import KINDS, SUITE
from tests.one_run import column, once

RATE, HOP, LEVELS = 8000, 400, 16  # 20 frames a second


class Loudness:
    """How loud the halves of each frame are."""

    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: Tensor) -> Tensor:
        power = torch.nn.functional.pad(wav[:, 0], (0, -wav.shape[-1] % HOP)).unfold(-1, HOP // 2, HOP // 2).square().mean(-1)
        return (2 * (power + 1e-8).log10() + 16).round().long().clamp(0, LEVELS - 1).unflatten(-1, (-1, 2)).transpose(1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        raise AssertionError("the suite has no use for audio")


class Picky(Loudness):
    """Fails on a clip of less than a second."""

    def encode(self, wav: Tensor) -> Tensor:
        if wav.shape[-1] < RATE:
            raise RuntimeError("too short")
        return super().encode(wav)


def variant(kind: type[Loudness] = Loudness) -> Variant:
    return Variant(Spec(kind.__name__.lower(), "v", RATE, (Codebook(LEVELS, RATE / HOP),) * 2, decodes=False), kind)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """The budget of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examination, "budget", lambda seconds: 20)
        patch.setitem(BODIES, "small", Body(32, 1, 32, 1))
        patch.setattr(words, "ITEMS", 2)
        patch.setattr(agreement, "ITEMS", 1)
        patch.setattr(consistency, "QUADS", 6)
        yield


@pytest.fixture(scope="module")
def some() -> Data:
    """Clips of each part: all sentences of two voices of the test, a few of the others."""
    data = open_data("grammar")
    few = [clip for clip in data.clips if clip.split == "train"][::40] + [clip for clip in data.clips if clip.split == "dev"][::4]
    test = [clip for clip in data.clips if clip.speaker in ("slt", "slt_hts")]
    return replace(data, clips=(*few, *test), sha256="some of it")


@pytest.fixture(scope="module")
def plain(some: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return once(variant(), SUITE, some, tmp_path_factory.mktemp("plain"))


def pooled(found: Run) -> dict[str, float]:
    return {row.metric: row.value for row in found.rows if row.clip == "*"}


def test_every_kind_has_its_pairs_all_scores_and_an_interval(plain: Run) -> None:
    found = pooled(plain)
    assert set(found) == {metric.name for metric in SUITE.metrics}
    for kind in KINDS:
        count = {"word": 8, "syntax": 4}.get(kind, 12)
        assert found[f"pairs_{kind}_pairs"] == count, kind
        assert all(0 <= found[f"pairs_{kind}{ending}"] <= 1 for ending in SCORES)
    assert found["pairs_voice_low"] <= found["pairs_voice"] <= found["pairs_voice_high"]


def test_every_clip_is_done_and_has_no_score_of_its_own(plain: Run, some: Data) -> None:
    assert set(column(plain, "seconds")) == {clip.id for clip in some.clips}
    assert {row.metric for row in plain.rows if row.clip != "*"} == {"seconds"}


def test_what_a_model_said_is_on_disk_and_a_stopped_run_asks_no_other(plain: Run, some: Data) -> None:
    (kept,) = plain.folder.parent.glob("models-*/pairs-0-*.json")
    rows, before = plain.folder / "rows.csv", kept.stat().st_mtime_ns
    whole = rows.read_text()
    rows.write_text("".join(whole.splitlines(keepends=True)[:30]))
    again = once(variant(), SUITE, some, plain.folder.parent.parent)
    assert kept.stat().st_mtime_ns == before and sorted(map(str, again.rows)) == sorted(map(str, plain.rows))
    margins = json.loads(kept.read_text())["margins"]
    told = {name: found[0] for name, found in margins.items() if name.startswith("word/")}
    assert pooled(plain)["pairs_word_each"] == pytest.approx(np.mean([margin > 0 for margin in told.values()]))
    both = [told[name] + told[f"{name[:-2]}11"] > 0 for name in told if name.endswith("/00")]
    assert pooled(plain)["pairs_word"] == pytest.approx(np.mean(both))


@pytest.mark.slow
def test_phone_labels_are_asked_about_as_if_they_were_codes(some: Data, tmp_path: Path) -> None:
    found = pooled(once("phone_labels", SUITE, some, tmp_path))
    assert found["pairs_word_pairs"] == 8 and math.isfinite(found["pairs_word"])
    assert found["pairs_room"] == found["pairs_background_0db"] == 0.5  # where nothing but the sound changes, labels are equal


def test_sets_in_folders_have_columns_beside_the_others_and_sounds_that_are_refused_are_told(some: Data, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        for which in (0, 1):
            path = tmp_path / "salmon" / "gender_consistency" / f"sample_{number}_{which}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.1 * rng.standard_normal(2 * RATE).astype(np.float32), RATE)
    assert SUITE.with_asked
    asked = SUITE.with_asked(f"seeds=2,salmon={tmp_path / 'salmon'}")
    found = once(variant(Picky), asked, some, tmp_path / "results")
    values = pooled(found)
    assert values["pairs_salmon_gender_consistency_pairs"] == 6 and 0 <= values["pairs_salmon_gender_consistency"] <= 1
    assert math.isnan(values["pairs_salmon_rir_consistency"]) and math.isfinite(values["pairs_voice"])
    assert len(list(found.folder.parent.glob("models-*/pairs-*.json"))) == 2
    assert values["pairs_word_pairs"] < 8 and values["pairs_room_pairs"] == 12
    assert "clips are missing (RuntimeError: too short)" in next(row.note for row in found.rows if row.metric == "pairs_converged")


def test_clips_without_phone_times_have_a_reason(some: Data, tmp_path: Path) -> None:
    bare = replace(some, clips=tuple(replace(clip, alignment=None) for clip in some.clips), sha256="bare")
    found = once(variant(), SUITE, bare, tmp_path)
    assert {row.note for row in found.rows if row.clip == "*"} == {
        "its clips have no phone times with a lexicon.tsv beside them: give --data grammar, or a corpus like it"
    }


def test_bytes_are_not_modelled(some: Data, tmp_path: Path) -> None:
    found = once("opus@6kbps", SUITE, some, tmp_path)
    assert all(math.isnan(row.value) and "variable-rate bytes" in row.note for row in found.rows if row.clip == "*")
