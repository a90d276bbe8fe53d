"""bench.ablate: what `bench ablate` does, with findings out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.ablation import designs, findings, study, training
from bench.ablation.findings import Findings
from bench.ablation.study import Study
from bench.api import UserError
from bench.data.manifests import told_data
from bench.engine.run import Progress
from bench.python.evaluate import suites_of
from bench.records.devices import device_of

VARIED = ("levels", "size")
CLIPS = 12  # that models are judged on


def ablate(
    data: str | Path,
    out: str | Path,
    *,
    vary: Sequence[str] = VARIED,
    base: Sequence[str] = (),
    grid: bool = False,
    eval_data: str | Path = "mini",
    limit: int | None = CLIPS,
    seeds: int = 3,
    steps: int | None = None,
    budget: float = 60.0,
    metrics: Sequence[str] = (),
    quality_model: str = "",
    asr_model: str = "",
    device: str = "cpu",
    say: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> Findings:
    """Train one small codec per design and seed under one budget, judge all of them, and give what was found, design by design.

    `vary`: factors with values ("levels=1,2,4") or alone, around `base` ("size=1024"); `grid`: all combinations. `steps` with codes for
    every model; None: what fits `budget` minutes here, decided when `out` is begun. A stopped study goes on in `out`. Raises UserError for
    what cannot be built, for clips on both sides, and for `metrics` that a loss aims at.
    """
    if seeds < 1:
        raise UserError(f"a study needs a seed or more, not {seeds}")
    if steps is not None and steps < 1:
        raise UserError(f"a model needs a step or more, not {steps}")
    named = designs.varied(designs.parsed(base), vary, grid)
    suites = suites_of(
        ["reconstruction", *(["quality"] if quality_model else []), *(["asr"] if asr_model else [])], asr_model, "", quality_model
    )
    judged = told_data(str(eval_data), limit, (findings.DOMAIN,))
    plan = Study(Path(out), named, range(seeds), told_data(str(data)), judged, device_of(device))
    study.refuse(plan)
    findings.chosen(plan, suites, {m.name: m for s in suites for m in s.metrics if findings.DOMAIN in m.rates}, metrics)
    for suite in suites:
        if suite.prepare:
            suite.prepare()  # an evaluator that is not there is told before hours of training
    corpus = training.packed(plan.data.clips)
    how = study.budget_of(plan, corpus, steps, budget)
    say(f"{len(plan.models)} models of {how.steps} steps, after {how.before} without codes; {len(judged.clips)} clips to judge them on")
    study.train(plan, corpus, how, say)
    found = findings.find(plan, suites, (how.steps, how.before), metrics, progress)
    findings.write_csv(found, plan.out / "table.csv")
    return found
