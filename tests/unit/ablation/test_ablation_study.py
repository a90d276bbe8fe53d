"""A whole study at toy size: what is trained, what is taken up again, and what is found."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

import bench
from bench.ablation import findings, study, tables, training
from bench.ablation.designs import DISCRIMINATORS, LOSSES, Design, changed, varied
from bench.ablation.study import Study, read
from bench.api import UserError
from bench.data.manifests import open_data
from bench.records.writer import read_rows
from tests.conftest import speech_like
from tests.training import interrupted

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer crops to begin with."""
    monkeypatch.setattr(training, "START", 6)


def toy(make_data: Callable[..., Path], out: Path, words: list[str], seeds: int = 1) -> Study:
    data, judged = (
        open_data(str(make_data(2, name=f"{out.name}-train"))),
        open_data(str(make_data(2, rate=22_050, name=f"{out.name}-eval"))),
    )
    return Study(out, varied(Design(size=16, levels=2), words), range(seeds), data, judged)


def test_a_stopped_model_goes_on_to_the_very_same_weights(make_data: Callable[..., Path], tmp_path: Path) -> None:
    one = toy(make_data, tmp_path / "s", [])
    corpus, budget, (design,) = training.packed(one.data.clips), training.Budget(60, 2, batch=2), one.designs
    before = tmp_path / "before"
    training.trained(design, 0, budget, corpus, before)
    training.trained(design, 0, budget, corpus, tmp_path / "whole", before / training.WEIGHTS)
    with interrupted(training, 55):
        training.trained(design, 0, budget, corpus, tmp_path / "cut", before / training.WEIGHTS)
    assert torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)["step"] == 50
    training.trained(design, 0, budget, corpus, tmp_path / "cut", before / training.WEIGHTS)
    whole, cut, start = (load_file(tmp_path / name / training.WEIGHTS) for name in ("whole", "cut", "before"))
    assert whole.keys() == cut.keys() and all(torch.equal(whole[name], cut[name]) for name in whole)
    moved = [name for name in start if not torch.equal(start[name], whole[name])]
    assert any(name.startswith("encoder.") for name in moved) and any(name.startswith("decoder.") for name in moved)
    losses = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert losses[-2]["mel"] < losses[0]["mel"]


@pytest.mark.parametrize(
    "value", [("losses", name) for name in LOSSES] + [("discriminator", name) for name in DISCRIMINATORS], ids="=".join
)
def test_losses_and_discriminators_are_what_the_design_says(value: tuple[str, str], make_data: Callable[..., Path], tmp_path: Path) -> None:
    one = toy(make_data, tmp_path / "s", [])
    design, corpus, budget = changed(one.designs[0], *value), training.packed(one.data.clips), training.Budget(2, 1, batch=2)
    training.trained(design, 0, budget, corpus, tmp_path / "before")
    training.trained(design, 0, budget, corpus, tmp_path / "model", tmp_path / "before" / training.WEIGHTS)
    first = json.loads((tmp_path / "model" / "log.jsonl").read_text().splitlines()[0])
    assert ("discriminator" in first) == (design.discriminator != "none") == ("features" in first)
    assert ("envelope" in first) == (design.losses == "spectral+envelope")
    assert "discriminator" not in (tmp_path / "before" / "log.jsonl").read_text()


@pytest.mark.parametrize("text", ['{"budget": ', "{}", "7", '{"budget": {"steps": 2}}'])
def test_a_damaged_study_is_told(text: str, tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"study.json is damaged \(.+\): remove .+, or give another --out"):
        read(path, "budget", "facts")


def test_no_steps_are_not_taken_for_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a step or more, not 0"):
        bench.ablate("mini", tmp_path, steps=0)


def test_clips_on_both_sides_are_refused(make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = open_data(str(make_data(2)))
    with pytest.raises(UserError, match="2 clips are in .*judge with other data"):
        study.refuse(Study(tmp_path, [Design()], [0], data, data))


def test_the_budget_is_what_steps_take_here(make_data: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = toy(make_data, tmp_path / "s", ["levels=1,2", "rate=25,50"], seeds=2)
    corpus = training.packed(one.data.clips)
    assert training.seconds_of_a_step(one.designs[0], training.Budget(1, 1, batch=2), corpus, True, tries=1) > 0
    monkeypatch.setattr(training, "seconds_of_a_step", lambda design, budget, corpus, with_codes, device: 1.0 if with_codes else 0.5)
    judging = study.JUDGED * 6 * 2
    found = study.budget_of(one, corpus, None, (judging + 2 * (3 * 1.0 + 2 * 2 * 0.5) * 7.5) / 60)  # three designs, two rates, two seeds
    assert (found.steps, found.before) == (7, 14)
    assert study.budget_of(one, corpus, None, 1e6) == found, "a study that has begun keeps its budget"
    with pytest.raises(UserError, match="holds models of 7 steps"):
        study.budget_of(one, corpus, 8, 60)
    other = Study(one.out, one.designs, one.seeds, one.judged, one.data)
    with pytest.raises(UserError, match="a study on other data"):
        study.budget_of(other, corpus, None, 60)
    with pytest.raises(UserError, match="6 models do not fit 0 minutes"):
        study.fitting(one, corpus, found, 1.0)


def voices(folder: Path, rate: int) -> Path:
    """A folder of two clips."""
    folder.mkdir()
    for i in range(2):
        soundfile.write(folder / f"{i}.wav", speech_like(1.5, rate, i).numpy(), rate)
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, findings.Findings, list[str]]:
    """A study by bench.ablate, its folder and what it said; begun with one design and one seed, then with more of both."""
    folder = tmp_path_factory.mktemp("study")
    data, judged, out, said = voices(folder / "train", 16_000), voices(folder / "eval", 22_050), folder / "out", []
    how = {"base": ["levels=2", "size=16"], "eval_data": judged, "limit": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "START", 6)
        bench.ablate(data, out, vary=["levels=2"], seeds=1, steps=2, **how)
        first = (out / "models" / "rvq-2x16-seed0" / training.WEIGHTS).stat().st_mtime_ns
        found = bench.ablate(data, out, vary=["size=16,64", "quantizer=fsq"], seeds=2, say=said.append, **how)
        assert (out / "models" / "rvq-2x16-seed0" / training.WEIGHTS).stat().st_mtime_ns == first
        with pytest.raises(UserError, match="si_sdr: a loss of this study draws to it"):
            bench.ablate(data, out, vary=["levels=2"], seeds=1, metrics=["stoi", "si_sdr"], **how)
        with pytest.raises(UserError, match="no suite of this study has distill_mos"):
            bench.ablate(data, out, vary=["levels=2"], seeds=1, metrics=["distill_mos"], **how)
    return out, found, said


def test_a_study_takes_up_the_models_that_are_there(done: tuple[Path, findings.Findings, list[str]]) -> None:
    _, found, said = done
    trained = [line.split(": ")[1].split(",")[0] for line in said if line.startswith("model ")]
    assert trained == ["rvq-2x64-seed0", "fsq-2x16-seed0", "rvq-2x16-seed1", "rvq-2x64-seed1", "fsq-2x16-seed1"]
    assert [line for line in said if line.startswith("before")] == ["before codes: 50hz-spectral-seed1, 4 steps"]
    assert (found.steps, found.before, found.seeds, found.clips) == (2, 4, 2, 2)


def test_means_are_those_of_the_rows_seed_by_seed(done: tuple[Path, findings.Findings, list[str]]) -> None:
    out, found, _ = done
    for one in found.found:
        for metric in ("pesq_wb", "stoi"):
            each = []
            for seed in range(2):
                (folder,) = (out / "results" / "reconstruction").glob(f"ablation@{one.design.name}-seed{seed}-*")
                each.append(np.mean([row.value for row in read_rows(folder / "rows.csv") if row.metric == metric and row.clip != "*"]))
            assert one.values[metric] == pytest.approx(each) and one.measures[metric].value == pytest.approx(np.mean(each))
            change = np.mean(each) - np.mean(found.base.values[metric])
            assert one.changes[metric].value == pytest.approx(change, abs=1e-12)
    assert [one.kbps for one in found.found] == pytest.approx([0.4, 0.6, 0.4], rel=0.05)
    assert found.found[1].macs > found.found[0].macs and found.found[1].parameters == found.found[0].parameters + 2 * 48 * (64 + 1)
    assert all(0 < one.kbps_entropy < one.kbps for one in found.found)


def test_the_table_says_what_was_done(done: tuple[Path, findings.Findings, list[str]]) -> None:
    out, found, _ = done
    with (out / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == ["rvq-2x16", "rvq-2x64", "fsq-2x16"]
    assert [float(line["stoi"]) for line in lines] == [one.measures["stoi"].value for one in found.found]
    caption, header, body = tables.grid(found)
    assert caption == "quantizer, size: 4 steps without codes and 2 with, 2 seeds, 2 clips of speech"
    assert all(len(line) == len(header) for line in body if line) and body[1] == []
    assert "95 % over 2 seeds" in tables.notes(found)[0]


def test_the_plots_show_every_design(done: tuple[Path, findings.Findings, list[str]]) -> None:
    pytest.importorskip("matplotlib")
    from bench.plot import ablation

    _, found, _ = done
    groups = ablation.grouped(found)
    assert [(name, [one.design.size for one in group]) for name, group in groups] == [
        ("rvq-2x*: 16 to 64 codes", [16, 64]),
        ("fsq-2x16", [16]),
    ]
    figure, sizes = ablation.quality(found), ablation.sizes(found)
    assert len(figure.axes) == 2 and len(figure.axes[0].lines) == 2 and sizes is not None and len(sizes.axes) == 3
    one = findings.Findings(found.found[:1], found.metrics, 2, 2, 4, 2)
    assert ablation.sizes(one) is None
