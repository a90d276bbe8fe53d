"""Models of this project's own are told from those of the papers wherever a table or a page shows them."""

from pathlib import Path

import pytest

from bench import registry
from bench.api import Spec, TrainedHere
from bench.data import manifests
from bench.engine.run import Options, identity
from bench.records import reader
from bench.report import describe, marks

ROOT = Path(__file__).resolve().parents[3]
MINIS = [spec for variants in registry.families().values() for v in variants.values() if "mini" in (spec := v.spec).variant]
LINE = "† trained by this project on 0.9 h of audio, not the published model; the published one is mimi@24khz"


@pytest.mark.parametrize("spec", MINIS, ids=lambda spec: spec.label)
def test_every_mini_says_who_trained_it_and_which_model_was_published(spec: Spec) -> None:
    assert spec.trained_here is not None and spec.trained_here.hours == 0.9
    if published := spec.trained_here.published:
        assert registry.variant(published).spec.trained_here is None


def test_no_other_tokenizer_is_marked() -> None:
    others = [v.spec for variants in registry.families().values() for v in variants.values() if "mini" not in v.spec.variant]
    assert not [spec.label for spec in others if spec.trained_here]


def test_one_line_names_the_published_model() -> None:
    assert marks.line([TrainedHere(0.9, "mimi@24khz"), None, TrainedHere(0.9, "mimi@24khz")]) == [LINE]
    assert marks.line([None]) == []
    assert marks.line([TrainedHere(0.9, "a@1"), TrainedHere(2, "b@1")])[0].endswith(
        "on 0.9 or 2 h of audio, not the published model; the published ones are a@1, b@1"
    )


def test_weights_of_the_users_own_are_not_marked(tmp_path: Path) -> None:
    (tmp_path / "own.safetensors").write_bytes(b"x")
    assert registry.with_weights(registry.variant("mimi@mini"), tmp_path / "own.safetensors").spec.trained_here is None
    assert registry.untrained(registry.variant("mimi@mini"), 0).spec.trained_here is None


def test_who_trained_the_weights_is_no_part_of_what_a_run_is() -> None:
    mimi = registry.variant("mimi@mini")
    facts = identity(mimi, registry.load_suite("reconstruction"), manifests.open_data("mini", 1), Options())["tokenizer"]
    assert isinstance(facts, dict) and "trained_here" not in facts


def test_a_stored_run_is_marked_by_its_weights() -> None:
    found = {run.label: marks.of_run(run) for run in map(reader.read, reader.folders(ROOT / "results" / "boards", ["asr"]))}
    assert found["mimi@mini-1cb"] == TrainedHere(0.9, "mimi@24khz")
    assert found["opus@6kbps"] is None


def test_bench_show_says_that_a_mini_is_not_the_published_model() -> None:
    facts = describe.facts(registry.variant("mimi"))
    assert facts["tokenizer"] == "mimi@mini†" and facts["note"] == LINE
    assert "note" not in describe.facts(registry.variant("mimi@24khz"))
