"""The probe suite asked for spectra and labels, its budget cut to seconds: every clip is a tone, whose pitch is the label."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
import torch

from bench.api import Codebook, Spec, UserError, Variant
from bench.cli import main
from bench.data.manifests import open_data
from bench.engine.run import Options, Run, run
from bench.probe.options import parse
from bench.tasks import probe
from tests.unit.tasks.test_probe import HOP, RATE, TONES, Tones, mean, pooled

PITCHES = {"low": 500, "high": 2000}
SPEAKERS = 6


class Exact(Tones):
    """Of each frame the loudest tone."""

    def encode(self, wav: torch.Tensor) -> torch.Tensor:
        return super().encode(wav)[:, :1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech, too few clips a speaker to be asked who speaks, and two clips of music."""
    root = tmp_path_factory.mktemp("tones")
    lines = []
    for i in range(26):
        name, t = list(PITCHES)[i // SPEAKERS % 2], torch.arange(round((0.2 + 0.02 * (i % 5)) * RATE)) / RATE
        wav = 0.3 * torch.sin(2 * torch.pi * PITCHES[name] * t + i) + 0.003 * torch.randn(
            len(t), generator=torch.Generator().manual_seed(i)
        )
        soundfile.write(root / f"{i}.flac", wav.numpy(), RATE)
        known = {"speaker": f"s{i % SPEAKERS}", "label:height": name} if i < 24 else {"domain": "music", "label:genre": "folk"}
        lines.append({"path": f"{i}.flac", **known})
    (root / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """The budget of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "STEPS", {"word": 8, "spk": 8, "asr": 8, "mel": 40})
        patch.setattr(probe, "SEEDS", 2)
        patch.setattr(probe, "MOST_STEPS", 12)
        yield


@pytest.fixture(scope="module")
def found(folder: Path) -> Run:
    return ran(folder, "mel,label:height,label:genre")


def ran(folder: Path, asked: str) -> Run:
    spec = Spec("exact", "v", RATE, (Codebook(len(TONES), RATE / HOP),), decodes=False)
    options = Options(folder / "results", workers=1)
    return next(iter(run([Variant(spec, Exact)], probe.suite(parse(asked)), open_data(str(folder)), options)))


def test_a_tokenizer_that_says_the_label_is_near_one_and_its_controls_are_near_the_commonest(found: Run) -> None:
    assert mean(found, "probe_label_height_acc") == 1 and mean(found, "probe_label_height_acc_logmel") == 1
    for control in ("_random", "_shuffled", "_logmel_shuffled"):
        assert mean(found, f"probe_label_height_acc{control}") < 0.8
    facts = pooled(found)
    assert facts["probe_label_height_chance"] == pytest.approx(0.5) and facts["probe_label_height_unseen"] < 0.1


def test_labels_are_tested_on_voices_that_were_never_heard(found: Run) -> None:
    rows = [row for row in found.rows if row.metric == "probe_label_height_acc"]
    assert len(rows) == 8 and len({row.speaker for row in rows}) == 2 and {row.domain for row in rows} == {"speech"}
    notes = [row.note for row in found.rows if row.metric == "probe_label_height_converged" and row.domain == "speech"]
    assert notes == ["label:height: split by speaker: 16 training clips, 8 to test, 2 of 2 speakers new, 0 of 0 texts new"]


def test_what_a_domain_cannot_answer_has_a_reason(found: Run) -> None:
    why = {(row.domain, row.metric): row.note for row in found.rows if row.clip == "*" and math.isnan(row.value)}
    assert why["music", "probe_label_genre_converged"] == why["speech", "probe_label_genre_converged"]
    assert "too few clips with the same label:genre" in why["music", "probe_label_genre_converged"]
    assert why["music", "probe_mel_converged"] == "too few clips with audio (5 to learn from)"


def test_spectra_are_explained_by_codes_that_say_them_and_by_no_others(found: Run) -> None:
    assert mean(found, "probe_mel_ev") > 0.4 and mean(found, "probe_mel_ev_logmel") > 0.4
    assert mean(found, "probe_mel_ev_random") < 0.2 * mean(found, "probe_mel_ev")
    assert mean(found, "probe_mel_ev_shuffled") < 0.7 * mean(found, "probe_mel_ev")  # of two pitches another clip's is often the same
    assert pooled(found)["probe_mel_converged"] == 1 and "probe_mel_chance" not in pooled(found)


def test_what_was_asked_is_part_of_what_a_run_is_and_is_not_trained_twice(folder: Path, found: Run) -> None:
    assert json.loads((found.folder / "run.json").read_text())["identity"]["asked"] == "mel,label:genre,label:height"
    names = {f"{q}{c}-{seed}.json" for q in ("mel", "label_height") for c in ("", "_random", "_shuffled") for seed in (0, 1)}
    assert {path.name for path in (found.folder / "probes").iterdir()} == names
    before = {path: path.stat().st_mtime_ns for path in found.folder.rglob("*.json")}
    assert ran(folder, "label:genre,label:height,mel").fresh_clips == 0
    assert {path: path.stat().st_mtime_ns for path in found.folder.rglob("*.json")} == before


def test_a_label_that_no_clip_has_is_one_line_that_names_those_there_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="has no label:mood: it has label:genre, label:height"):
        ran(folder, "label:mood")
    words = ["run", "--suite", "probe", "--tokenizer", "mimi@tiny", "--data", str(folder), "--results", str(folder / "results")]
    for asked in ("label:hight", "emotion"):
        assert main([*words, "--probe-options", asked]) == 2
        assert asked in capsys.readouterr().err
    assert main([*words[:1], "--suite", "mcd", *words[3:], "--probe-options", "mel"]) == 2
    assert "--probe-options belongs to --suite probe" in capsys.readouterr().err
