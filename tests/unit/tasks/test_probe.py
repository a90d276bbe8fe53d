"""The probe suite as the engine runs it, its budget cut to seconds, on tones: a word is a pitch, a speaker the share of an overtone."""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor

from bench import registry
from bench.api import Codebook, Spec, Variant
from bench.data.manifests import open_data
from bench.engine.run import Options, Run, run
from bench.report import tables
from bench.tasks import probe
from bench.tasks.probe import OF_DATA, OF_TOKENS, SUITE

RATE, HOP = 16_000, 320
PITCHES = {"oh": 500, "two": 1250, "six": 2000}
SPEAKERS = 6
TONES = [f for f in range(250, 4251, 250)]
LEVELS = 8


class Tones:
    """Codes of a frame: its loudest tone, and how loud the tone at 6 kHz is beside it. Level and delay of the audio change neither."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.time = torch.arange(HOP) / RATE

    def power(self, wav: Tensor, pitch: float) -> Tensor:
        frames = wav[:, 0, : wav.shape[-1] // HOP * HOP].reshape(len(wav), -1, HOP)
        return (frames.to(torch.complex64) @ torch.exp(2j * math.pi * pitch * self.time)).abs()

    def encode(self, wav: Tensor) -> Tensor:
        tones = torch.stack([self.power(wav, f) for f in TONES], dim=-1).max(-1)
        share = (LEVELS * self.power(wav, 6000) / tones.values.clamp_min(1e-6)).round().clamp(0, LEVELS - 1)
        return torch.stack([tones.indices, share.long()], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        raise AssertionError("the suite has no use for audio")


class Moody(Tones):
    """One codebook, and there is a pitch that it refuses."""

    def encode(self, wav: Tensor) -> Tensor:
        codes = super().encode(wav)[:, :1]
        if TONES[int(codes[0, 0].mode().values)] == PITCHES["six"]:
            raise RuntimeError("I will not hear it")
        return codes


def variant(kind: type[Tones], **spec: object) -> Variant:
    facts = {"codebooks": (Codebook(len(TONES), RATE / HOP), Codebook(LEVELS, RATE / HOP)), "decodes": False} | spec
    return Variant(Spec(kind.__name__.lower(), "v", RATE, **facts), kind)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """54 clips of speech, and one of music that no probe hears."""
    root = tmp_path_factory.mktemp("tones")
    lines = []
    for word, pitch in PITCHES.items():
        for s in range(SPEAKERS):
            for take in range(3):
                t = torch.arange(round((0.16 + 0.04 * take) * RATE)) / RATE
                wav = 0.3 * torch.sin(2 * torch.pi * pitch * t + s) + 0.3 * s / LEVELS * torch.sin(2 * torch.pi * 6000 * t)
                wav += 0.003 * torch.randn(len(t), generator=torch.Generator().manual_seed(pitch + 10 * s + take))
                soundfile.write(root / f"{word}{s}{take}.flac", wav.numpy(), RATE)
                lines.append({"path": f"{word}{s}{take}.flac", "text": word, "speaker": f"s{s}"})
    soundfile.write(root / "music.flac", (0.1 * torch.randn(4000, generator=torch.Generator().manual_seed(0))).numpy(), RATE)
    lines.append({"path": "music.flac", "domain": "music"})
    (root / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """The budget of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "STEPS", {"word": 20, "spk": 24, "asr": 8})
        patch.setattr(probe, "SEEDS", 2)
        yield


def ran(folder: Path, kind: type[Tones] = Tones, limit: int | None = None, fresh: bool = False, **spec: object) -> Run:
    options = Options(folder / "results", workers=1, fresh=fresh)
    return next(iter(run([variant(kind, **spec)], SUITE, open_data(str(folder), limit), options)))


@pytest.fixture(scope="module")
def tones(folder: Path) -> Run:
    return ran(folder)


@pytest.fixture(scope="module")
def moody(folder: Path, tones: Run) -> Run:
    return ran(folder, Moody, codebooks=(Codebook(len(TONES), RATE / HOP),))


def mean(found: Run, metric: str) -> float:
    return next(s.mean for s in found.summaries if s.metric == metric)


def pooled(found: Run) -> dict[str, float]:
    return {row.metric: row.value for row in found.rows if row.clip == "*"}


def test_what_the_tokens_say_is_recognised_and_the_controls_are_beside_it(tones: Run) -> None:
    assert mean(tones, "probe_word_acc") > 0.9 and mean(tones, "probe_spk_acc") > 0.7
    assert mean(tones, "probe_word_acc_logmel") > 0.9
    for control in ("_random", "_shuffled", "_logmel_shuffled"):
        assert mean(tones, f"probe_word_acc{control}") < 0.75 and mean(tones, f"probe_spk_acc{control}") < 0.5
    facts = pooled(tones)
    assert facts["probe_word_converged"] == facts["probe_spk_converged"] == 1
    assert facts["probe_word_chance"] == pytest.approx(1 / 3) and facts["probe_spk_chance"] == pytest.approx(1 / 6)
    assert facts["probe_word_unseen"] == pytest.approx(0.5, abs=0.05)  # the loudness of a new speaker's overtone
    assert 0 <= facts["probe_word_acc_spread"] < 0.2
    assert facts["probe_word_weight_cb1"] > facts["probe_word_weight_cb2"] and facts["probe_spk_weight_cb2"] > facts["probe_spk_weight_cb1"]


def test_a_probe_that_has_not_converged_has_no_score_but_a_reason(tones: Run) -> None:
    rows = [row for row in tones.rows if row.metric == "probe_asr_cer"]  # 8 steps are too few for letters
    assert len(rows) == 18 and all(math.isnan(row.value) for row in rows)
    assert {row.note for row in rows} == {rows[0].note} and "2 of 2 probes of the tokens did not converge (error " in rows[0].note
    assert pooled(tones)["probe_asr_converged"] == 0 and "probe_asr_cer_spread" not in pooled(tones)
    assert mean(tones, "probe_asr_cer_random") > 0.5


def test_only_clips_of_the_test_have_rows(tones: Run) -> None:
    words, speakers = ([row for row in tones.rows if row.metric == f"probe_{question}_acc"] for question in ("word", "spk"))
    assert len(words) == len(speakers) == 18
    assert len({row.speaker for row in words}) == 2 and len({row.clip[:2] for row in words}) == 3
    assert len({row.speaker for row in speakers}) == 6 and len({row.clip[:2] for row in speakers}) == 1
    assert len({row.clip for row in tones.rows if row.metric == "seconds"}) == 55


def test_the_table_says_how_the_clips_were_split(tones: Run) -> None:
    notes = "\n".join(tables.notes([tones]))
    assert "word: split by speaker: 36 training clips, 18 to test, 2 of 2 speakers new, 0 of 3 texts new" in notes
    assert "spk: split by text: 36 training clips, 18 to test, 0 of 6 speakers new, 1 of 1 texts new" in notes


def test_every_probe_is_kept_with_its_curve_and_confusion(tones: Run) -> None:
    names = {f"{q}{c}-{seed}.json" for q in ("word", "spk", "asr") for c in OF_TOKENS for seed in (0, 1)}
    assert {path.name for path in (tones.folder / "probes").iterdir()} == names
    held = json.loads((tones.folder / "probes" / "word-0.json").read_text())
    assert len(held["confusion"]) == 3 and len(held["outcome"]["curve"]) == 10 and len(held["outcome"]["answers"]) == 18


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*.json"))}


def test_what_belongs_to_no_tokenizer_is_trained_once(tones: Run, moody: Run) -> None:
    (shared,) = (path for path in tones.folder.parent.iterdir() if path.name.startswith("logmel-"))
    assert {path.name for path in shared.iterdir()} == {f"{q}{c}-{s}.json" for q in ("word", "spk", "asr") for c in OF_DATA for s in (0, 1)}
    assert max(times(shared).values()) < min(times(moody.folder / "probes").values())
    words = [{(row.clip, row.value) for row in run.rows if row.metric == "probe_word_acc_logmel"} for run in (tones, moody)]
    assert words[0] == words[1] and len(words[0]) == 18  # those that a tokenizer refused, too


def test_a_stopped_run_trains_no_probe_twice_and_ends_as_if_never_stopped(folder: Path, tones: Run) -> None:
    rows, lost = tones.folder / "rows.csv", tones.folder / "probes" / "word-1.json"
    whole, outcome = rows.read_text(), lost.read_text()
    before = times(tones.folder.parent)
    rows.write_text("".join(whole.splitlines(keepends=True)[:20]))  # killed while rows were written
    lost.unlink()
    ran(folder)
    assert rows.read_text() == whole and lost.read_text() == outcome
    after = times(tones.folder.parent)
    changed = {path for path in after if after[path] != before[path]}
    assert changed - {str(tones.folder / "run.json")} == {str(lost)}  # run.json is sealed again with the rows


def test_a_finished_run_answers_at_once(folder: Path, tones: Run) -> None:
    before = times(tones.folder.parent)
    again = ran(folder)
    assert again.fresh_clips == 0 and times(tones.folder.parent) == before
    assert sorted(map(str, again.rows)) == sorted(map(str, tones.rows))  # NaN is not NaN, its text is


@pytest.mark.parametrize("name", ["opus@6kbps", "mulaw@8bit", "identity"])
def test_samples_and_bytes_have_no_score_and_nothing_is_trained(folder: Path, name: str) -> None:
    options = Options(folder / "results", workers=1)
    found = next(iter(run([registry.variant(name)], SUITE, open_data(str(folder)), options)))
    rows = [row for row in found.rows if row.metric.startswith("probe_")]
    assert rows and all(math.isnan(row.value) and row.note for row in rows)
    assert not (found.folder / "probes").exists()
    assert any("samples" in line for line in tables.notes([found]))


def test_a_clip_that_the_tokenizer_refuses_is_told(moody: Run) -> None:
    why = "tokenizer failed: RuntimeError: I will not hear it"
    rows = [row for row in moody.rows if row.metric == "probe_word_acc"]
    lost = [row for row in rows if row.clip.startswith("six")]
    assert len(lost) == 6 and all(math.isnan(row.value) and row.note == why for row in lost)
    assert len(rows) == 18 and mean(moody, "probe_word_acc") > 0.9  # of the other words
    note = next(row.note for row in moody.rows if row.metric == "probe_word_converged")
    assert f"12 training clips are missing ({why})" in note


def test_clips_that_failed_for_a_passing_reason_are_learned_from_by_the_next_run(folder: Path, tones: Run, tmp_path: Path) -> None:
    class Passing(Tones):
        down = True

        def encode(self, wav: Tensor) -> Tensor:
            codes = super().encode(wav)
            if self.down and TONES[int(codes[0, 0].mode().values)] == PITCHES["six"]:
                raise ConnectionError("server is down")
            return codes

    def again() -> Run:
        return next(iter(run([variant(Passing)], SUITE, open_data(str(folder)), Options(tmp_path, workers=1))))

    assert len(again().failed) == 18  # those to learn from, too
    Passing.down = False
    found = again()
    assert not found.failed
    assert [(r.clip, r.metric, repr(r.value)) for r in found.rows] == [(r.clip, r.metric, repr(r.value)) for r in tones.rows]


def test_data_without_an_answer_have_a_reason_and_no_columns(folder: Path) -> None:
    found = ran(folder, limit=3)
    notes = [row.note for row in found.rows if row.clip == "*" and math.isnan(row.value)]
    assert sum("too few clips with" in note for note in notes) >= 2
    assert not [row for row in found.rows if row.metric == "probe_word_acc"]


def test_fewer_codebooks_are_probed_as_well_and_say_less(tones: Run, moody: Run) -> None:
    assert pooled(moody)["probe_word_weight_cb1"] == 1 and "probe_word_weight_cb2" not in pooled(moody)
    speakers = [row for row in moody.rows if row.metric == "probe_spk_acc"]  # the pitch alone knows no speaker
    assert all(math.isnan(row.value) for row in speakers) or mean(moody, "probe_spk_acc") < mean(tones, "probe_spk_acc") - 0.3


@pytest.mark.slow
def test_fresh_trains_again(folder: Path, moody: Run) -> None:
    before, rows = times(moody.folder / "probes"), (moody.folder / "rows.csv").read_text()
    ran(folder, Moody, fresh=True, codebooks=(Codebook(len(TONES), RATE / HOP),))
    after = times(moody.folder / "probes")
    assert after.keys() == before.keys() and all(after[path] > before[path] for path in before)
    assert (moody.folder / "rows.csv").read_text() == rows


def test_the_codebooks_weights_have_a_table(tones: Run) -> None:
    tables.save(tones)
    lines = list(csv.DictReader((tones.folder / "codebooks.csv").open()))
    assert [line["codebook"] for line in lines] == ["1", "2"]
    assert sum(float(line["probe_word_weight"]) for line in lines) == pytest.approx(1)
