"""A study: every design with every seed, trained one after the other in a folder that knows what is done, then judged by suites.

In the folder: `study.json` (budget and data, which never change), `before/` (networks without a quantizer), `models/NAME-seedN/` (weights,
`model.json`, `log.jsonl`) and `results/` (rows, as `bench run` keeps them). A stopped study goes on with the model and the step where it
was; one with more designs or seeds takes up what is there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from bench.ablation import training
from bench.ablation.designs import CROP, Design
from bench.ablation.network import variant
from bench.ablation.objectives import aimed_at
from bench.ablation.training import WEIGHTS, Budget
from bench.api import Data, Suite, UserError
from bench.engine.run import Progress
from bench.engine.run import run as engine
from bench.records import hardware
from bench.records.finished import Run
from bench.records.options import Options
from bench.records.writer import replace as write
from bench.train.data import Corpus
from bench.train.heap import kept_memory

BEFORE = 2  # times the steps with codes: the steps without, which all seeds' designs share
JUDGED = 1.5  # s a clip and model, about, that the budget leaves for judging
Say = Callable[[str], None]


@dataclass(frozen=True)
class Study:
    """What is compared, with what, where."""

    out: Path
    designs: Sequence[Design]  # the base first
    seeds: Sequence[int]
    data: Data  # to train with
    judged: Data  # to judge with: no clip of `data`
    device: str = "cpu"

    @property
    def models(self) -> list[tuple[Design, int]]:
        """Seed by seed, so that a study that is stopped has whole comparisons."""
        return [(design, seed) for seed in self.seeds for design in self.designs]

    def folder(self, design: Design, seed: int) -> Path:
        """Of a model."""
        return self.out / "models" / f"{design.name}-seed{seed}"

    def before(self, design: Design, seed: int) -> Path:
        """Of the network that it begins with."""
        return self.out / "before" / f"{design.before}-seed{seed}"


def refuse(study: Study) -> None:
    """UserError for data on both sides."""
    seen = {clip.sha256 for clip in study.data.clips}
    if both := [clip.id for clip in study.judged.clips if clip.sha256 in seen]:
        raise UserError(
            f"{len(both)} clips are in {study.data.name} and in {study.judged.name}, as {both[0]}: judge with other data (--eval)"
        )


def budget_of(study: Study, corpus: Corpus, steps: int | None, minutes: float) -> Budget:
    """The steps of every model: those of the folder, those that are asked for, or those that fit so many minutes on this machine."""
    path = study.out / "study.json"
    facts = {"training_data": study.data.sha256, "crop": CROP}
    if path.exists():
        kept = read(path, "budget", "facts")
        if kept["facts"] != facts:
            raise UserError(f"{study.out} holds a study on other data: give that data, or another folder with --out")
        if steps is not None and kept["budget"]["steps"] != steps:
            raise UserError(
                f"{study.out} holds models of {kept['budget']['steps']} steps: give --steps {kept['budget']['steps']}, or another --out"
            )
        return Budget(**kept["budget"])
    how = Budget(steps or 1, BEFORE * (steps or 1))
    if steps is None:
        fits = fitting(study, corpus, how, 60 * minutes)
        how = replace(how, steps=fits, before=BEFORE * fits)
    study.out.mkdir(parents=True, exist_ok=True)
    machine = {"device": hardware.record(study.device), "threads": torch.get_num_threads()}
    write(path, json.dumps({"budget": asdict(how), "facts": facts, "machine": machine}, indent=1, sort_keys=True) + "\n")
    return how


def read(path: Path, *names: str) -> dict:
    """A file that a study keeps, with at least these facts."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if missing := [name for name in names if name not in found]:
            raise ValueError(f"{', '.join(missing)} is not there")
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}): remove {path.parent}, or give another --out") from error
    return found


def fitting(study: Study, corpus: Corpus, budget: Budget, seconds: float) -> int:
    """So many steps with codes that all stages and the judging take about so long, as a few steps of each kind took now."""
    shared = {design.before: design for design in study.designs}
    one = BEFORE * sum(training.seconds_of_a_step(design, budget, corpus, False, study.device) for design in shared.values())
    one += sum(training.seconds_of_a_step(design, budget, corpus, True, study.device) for design in study.designs)
    left = seconds - JUDGED * len(study.models) * len(study.judged.clips)
    steps = math.floor(left / (one * len(study.seeds)))
    if steps < 1:
        raise UserError(
            f"{len(study.models)} models do not fit {seconds / 60:.0f} minutes here: fewer of them or of the clips, or more --budget"
        )
    return steps


@kept_memory()
def train(study: Study, corpus: Corpus, budget: Budget, say: Say) -> None:
    """Every model that is not there yet."""
    for number, (design, seed) in enumerate(study.models, 1):
        where, before = study.folder(design, seed), study.before(design, seed)
        if (where / "model.json").exists():
            continue
        if not (before / "model.json").exists():
            say(f"before codes: {before.name}, {budget.before} steps")
            seconds = training.trained(design, seed, budget, corpus, before, device=study.device)
            write(before / "model.json", json.dumps({"s_per_step": seconds}) + "\n")
        say(f"model {number} of {len(study.models)}: {where.name}, {budget.steps} steps")
        seconds = training.trained(design, seed, budget, corpus, where, before / WEIGHTS, study.device)
        write(where / "model.json", json.dumps({"s_per_step": seconds, **asdict(design), "seed": seed}) + "\n")


def judge(study: Study, suites: Sequence[Suite], progress: Progress | None = None) -> Iterator[tuple[Design, int, Run]]:
    """The rows of every model in every suite."""
    variants = [variant(design, seed, study.folder(design, seed) / WEIGHTS) for design, seed in study.models]
    how = Options(study.out / "results", study.device)
    for suite in suites:
        for (design, seed), run in zip(study.models, engine(variants, suite, study.judged, how, progress), strict=True):
            yield design, seed, run


def fair(study: Study, names: Sequence[str]) -> list[str]:
    """Columns that no loss of the study draws to."""
    aims = tuple(start for design in study.designs for start in aimed_at(design))
    return [name for name in names if not name.startswith(aims)]
