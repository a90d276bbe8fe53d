"""The suite quality: who is asked what, at which rate, what is kept of originals, and why a score is missing."""

import math
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench import registry
from bench.api import Codebook, Metric, Spec, Suite, UserError, Variant
from bench.cli import main
from bench.data.manifests import open_data
from bench.engine.run import Run
from bench.evaluators import packages, quality
from bench.evaluators.quality import Panel
from bench.evaluators.quality_kinds import QualityEvaluator, SetEvaluator
from bench.evaluators.sounds import Answer, Ask, Sound
from bench.tasks import quality as task
from tests.conftest import speech_like
from tests.one_run import column, once

RATE = 16_000


def loudness(sounds: Sequence[Sound]) -> list[Answer]:
    """Of the reconstruction alone, in two columns: its power, and how many samples it has."""
    return [(float(sound.est.square().mean()), float(len(sound.est))) for sound in sounds]


def likeness(sounds: Sequence[Sound]) -> list[Answer]:
    """Of both: their cosine; it has no answer where both are very loud."""
    return ["too loud for me" if float(s.est.abs().max()) > 0.99 else (cosine(s),) for s in sounds]


def cosine(sound: Sound) -> float:
    assert sound.ref is not None
    return float(torch.nn.functional.cosine_similarity(sound.ref, sound.est, 0))


def broken(sounds: Sequence[Sound]) -> list[Answer]:
    raise RuntimeError("out of memory")


def load_loudness(device: str) -> Ask:
    return loudness


def load_likeness(device: str) -> Ask:
    return likeness


def load_broken(device: str) -> Ask:
    return broken


def metric(name: str, **rates: int) -> Metric:
    return Metric(name, "", "higher", rates, 0.01, None, "made here")  # type: ignore[arg-type]


LOUDNESS = QualityEvaluator(
    "loudness", (metric("power", speech=8_000), metric("samples", speech=8_000)), load_loudness, "ab" * 32, 0.5, on_device=True
)
LIKENESS = QualityEvaluator("likeness", (metric("likeness", speech=RATE, music=24_000),), load_likeness, "cd" * 32, 0.5, compares=True)
BROKEN = replace(LOUDNESS, name="broken", columns=(metric("broken", speech=RATE),), load=load_broken, weights="ef" * 32)


class Half:
    """Gives back half of the amplitude; the shortest clip fails."""

    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: Tensor) -> Tensor:
        if wav.shape[-1] < 1.45 * RATE:
            raise RuntimeError("too short for me")
        return ((wav.clamp(-1, 1) + 1) * 32_767.5).round().long()

    def decode(self, codes: Tensor) -> Tensor:
        return (codes / 32_767.5 - 1) / 2


def chunks(wav: Tensor) -> Tensor:
    """An embedding: the loudness of each 10 ms, and of each one's first half."""
    pieces = wav[: len(wav) // 80 * 80].reshape(-1, 80)
    return torch.stack([pieces.square().mean(-1).sqrt(), pieces[:, :40].square().mean(-1).sqrt()], -1)


def load_chunks(device: str) -> Callable[[Tensor], Tensor]:
    return chunks


CHUNKS = SetEvaluator("fad_chunks", {"speech": 8_000, "music": 8_000}, load_chunks, "12" * 32, "made here")
HALF = Variant(Spec("half", "v", RATE, (Codebook(1 << 16, RATE),)), Half)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Suite:
    """The suite with the two evaluators made here, and a cache folder of its own."""
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    return task.suite(Panel("made", (LOUDNESS, LIKENESS)))


def values(done: Run, name: str) -> dict[str, float]:
    return {clip: row.value for clip, row in column(done, name).items()}


def test_each_is_asked_at_its_rate_about_its_domains_and_the_originals_stand_beside(
    made: Suite, make_data: Callable[..., Path], tmp_path: Path
) -> None:
    data = open_data(str(make_data(3)))  # the last one is music
    done = once(HALF, made, data, tmp_path / "r")
    power, original = values(done, "power"), values(done, "power_original")
    assert list(power) == ["clip0", "clip1"] and all(power[clip] == pytest.approx(original[clip] / 4, rel=1e-3) for clip in power)
    assert values(done, "samples") == {"clip0": 12_000, "clip1": 12_800} == values(done, "samples_original")
    assert values(done, "likeness") == pytest.approx({"clip0": 1, "clip1": 1, "clip2": 1}, abs=1e-4)
    assert "likeness_original" not in {m.name for m in made.metrics}
    assert all(m.better == "" for m in made.metrics if m.name.endswith("_original"))


def test_an_original_is_asked_about_once(made: Suite, make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = open_data(str(make_data(2)))
    first = once(HALF, made, data, tmp_path / "r")
    kept = list((tmp_path / "cache").rglob("*.json"))
    assert len(kept) == 2
    for path in kept:
        path.write_text("[0.5, 7]")
    second = once("identity", made, data, tmp_path / "r")
    assert set(values(second, "power_original").values()) == {0.5} and values(second, "power") == values(first, "power_original")


def test_what_cannot_be_judged_is_missing_with_a_reason(made: Suite, make_data: Callable[..., Path], tmp_path: Path) -> None:
    done = once(HALF, made, open_data(str(make_data(2, seconds=1.4))), tmp_path / "r")
    for name in ("power", "likeness"):
        failed = column(done, name)["clip0"]
        assert math.isnan(failed.value) and "too short for me" in failed.note
    assert column(done, "power_original")["clip0"].value > 0, "the original is still rated"
    short = once("identity", made, open_data(str(make_data(1, seconds=0.4, name="short"))), tmp_path / "r")
    assert "too short: 3200 of 4000 samples" in column(short, "power")["clip0"].note
    assert column(short, "likeness")["clip0"].note == "the original is too short: 6400 of 8000 samples"


@pytest.mark.parametrize(
    ("ref", "est", "note"),
    [
        (None, 0.0, "the audio is silent"),
        (1.0, 0.0, "the reconstruction is silent"),
        (0.0, 1.0, "the original is silent"),
        (1.0, math.nan, "the reconstruction has NaN, infinite or huge samples"),
        (1.0, 1e9, "the reconstruction has NaN, infinite or huge samples"),
        (1.0, 1.0, ""),
    ],
)
def test_a_side_without_a_sound_is_unfit(ref: float | None, est: float, note: str) -> None:
    wav = speech_like(1, RATE)
    assert Sound(wav * est, None if ref is None else wav * ref).unfit(RATE) == note


def test_networks_on_a_gpu_give_the_rows_of_worker_processes(
    made: Suite, make_data: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = open_data(str(make_data(3, seconds=1.4)))
    here = once(HALF, made, data, tmp_path / "a")
    asked: list[int] = []
    there = loudness
    monkeypatch.setattr(sys.modules[__name__], "loudness", lambda sounds: asked.append(len(sounds)) or there(sounds))
    monkeypatch.setattr("bench.engine.run.RunSession.on_gpu", True)
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "other"))
    quality._loaded.cache_clear()
    grouped = once(HALF, made, data, tmp_path / "b")
    assert sorted(asked) == [1, 2], "one reconstruction, the other one failed; two originals at once"
    assert [(r.clip, r.metric, r.note) for r in grouped.rows] == [(r.clip, r.metric, r.note) for r in here.rows]
    assert [r.value for r in grouped.rows] == pytest.approx([r.value for r in here.rows], nan_ok=True, rel=1e-6)
    quality._loaded.cache_clear()


def test_an_evaluator_that_fails_costs_its_own_scores(
    make_data: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    data = open_data(str(make_data(1)))
    for on_gpu in (False, True):
        monkeypatch.setattr("bench.engine.run.RunSession.on_gpu", on_gpu)
        done = once("identity", task.suite(Panel("two", (BROKEN, LIKENESS))), data, tmp_path / str(on_gpu))
        assert "RuntimeError: out of memory" in column(done, "broken")["clip0"].note
        assert values(done, "likeness")["clip0"] == pytest.approx(1)
        assert not list((tmp_path / "cache").rglob("*.json")), "no failure is kept as an answer"


def test_an_evaluator_may_say_why_it_has_no_answer(made: Suite) -> None:
    loud = torch.ones(RATE)
    assert likeness([Sound(loud, loud)]) == ["too loud for me"]
    facts = task.Facts(type("Clip", (), {"domain": "music"})(), 1.0, (), {})  # type: ignore[arg-type]
    found = task.scores(Panel("made", (LIKENESS,)), facts, {"likeness": "too loud for me"})
    assert math.isnan(found["likeness"].value) and found["likeness"].note == "too loud for me"


def test_the_default_panel_is_all_that_needs_no_download_and_travels_to_workers() -> None:
    suite = registry.load_suite("quality")
    assert {"visqol_speech", "visqol_audio", "distill_mos", "dnsmos_ovrl", "plcmos", "note_f1_basic_pitch"} <= {
        m.name for m in suite.metrics
    }
    pinned = [word.removeprefix("sha256:").rstrip(",") for word in suite.judge.split() if word.startswith("sha256:")]
    assert len(pinned) == 6 and all(len(digest) == 64 for several in pinned for digest in several.split("+"))
    assert all(len(pickle.dumps(evaluator)) > 100 for evaluator in quality.GROUPS["default"])


def test_evaluators_are_chosen_by_name() -> None:
    suite = registry.load_suite("quality")
    assert suite.with_judge is not None
    assert [m.name for m in suite.with_judge("plcmos, visqol").metrics] == ["plcmos", "plcmos_original", "visqol_speech", "visqol_audio"]
    assert suite.with_judge("plcmos").judge != suite.judge
    with pytest.raises(UserError, match="did you mean 'plcmos'"):
        suite.with_judge("plcmoss")
    with pytest.raises(UserError, match="no quality evaluator is named"):
        suite.with_judge(",")


def test_the_command_line_names_a_wrong_evaluator_and_a_missing_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["run", "--suite", "quality", "--tokenizer", "identity", "--quality-model"]
    assert main([*asked, "dnsmos,distil_mos"]) == 2
    assert "no quality evaluator is called 'distil_mos': did you mean 'distill_mos'?" in capsys.readouterr().err
    real = packages.find_spec
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "distillmos" else real(name))
    assert main([*asked, "distill_mos"]) == 2
    err = capsys.readouterr().err
    assert "Distill-MOS needs distillmos" in err and "pip install --no-deps distillmos==0.9.1" in err and err.count("\n") == 1
    assert main(asked[:-1]) == 2 and "pip install 'audio-tokenizer-bench[quality]'" in capsys.readouterr().err


def test_a_distance_is_one_of_all_clips_of_a_domain_also_after_a_stop(made: Suite, make_data: Callable[..., Path], tmp_path: Path) -> None:
    what = task.suite(Panel("sets", (LIKENESS,), (CHUNKS,)))
    data = open_data(str(make_data(4, seconds=3)))
    same, half = once("identity", what, data, tmp_path / "r"), once(HALF, what, data, tmp_path / "r")
    rows = {(row.metric, row.domain): row for row in half.rows if row.clip == "*"}
    assert set(rows) == {(f"fad_{kind}chunks", domain) for kind in ("", "inf_") for domain in ("speech", "music")}
    assert all(row.value > 1e-5 for row in rows.values() if row.metric == "fad_chunks")
    zero = [row.value for row in same.rows if row.metric == "fad_chunks"]
    assert len(zero) == 2 and max(map(abs, zero)) < 1e-9
    assert next(row.weight for row in half.rows if row.metric == "fad_chunks" and row.domain == "speech") > 600
    path = half.folder / "rows.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(("*", "clip1"))))
    again = once(HALF, what, data, tmp_path / "r")
    repeated = {(row.metric, row.domain): row.value for row in again.rows if row.clip == "*"}
    assert repeated == pytest.approx({key: row.value for key, row in rows.items()}, nan_ok=True)
