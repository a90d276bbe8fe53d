"""`bench train`: one seeded run from recordings to weights that can be stopped at any moment and goes on where it was.

Everything drawn at random depends on the seed and the number of the step alone, so a resumed run makes the steps it would have made. In the
folder of a run: `checkpoint.pt` (replaced whole, never written in place), `log.jsonl` (losses and held-out scores), `recipe.json`;
at the end `weights.safetensors` and `card.md`.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from bench import registry
from bench.api import UserError
from bench.catalog.names import FILE
from bench.data.manifests import open_data
from bench.engine.precision_proof import compared, refusal
from bench.nn.quantize import Codebook
from bench.records.devices import device_of
from bench.train import card, codec, hubert, layers
from bench.train.check import heldout_scores
from bench.train.export import export
from bench.train.heap import kept_memory
from bench.train.recipe_files import keep
from bench.train.recipes import FURTHER, OWN, RECIPES, UNIT_RECIPES, Recipe, UnitRecipe
from bench.train.state import Progress, Run, load, report, save, trim_log
from bench.weights.download import sha256_of

R = TypeVar("R", bound=Progress)


@kept_memory()
def train(
    family: str,
    data: str,
    out: Path,
    steps: int,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    save_every: int = 200,
    variant: str = "mini",
    recipe: Recipe | UnitRecipe | None = None,
    weights: Path | None = None,
    new_codebooks: bool = False,
) -> Path:
    """Train family@variant on a data set (name, manifest or folder) and give the path of the weights.

    `family` may be the path of a tokenizer's file, with its variant if any, and `variant` is "" then. `resume` goes on in `out`;
    `weights` is a file to begin from, of the same variant, or of one with other codebooks for `new_codebooks`.
    """
    if new_codebooks and weights is None:
        raise UserError("--new-codebooks belongs to --weights: without it all codebooks are new")
    recipe = recipe or recipe_of(family, weights, new_codebooks)
    if (out / "checkpoint.pt").exists() and not resume:
        raise UserError(f"{out} holds a run already: go on with --resume, or give another folder with --out")
    device_of(device)
    if weights and isinstance(recipe, UnitRecipe):
        raise UserError(f"{family} is trained from the beginning only: leave --weights out")
    whole = recipe
    if recipe.bf16 and torch.device(device).type == "cpu" and not bfloat16_pays():
        print("float32: this processor is slower at bfloat16 products", file=sys.stderr)
        recipe = replace(recipe, bf16=False)
    make = partial(_made, family, variant, data, out, steps, seed, device, save_every, weights, new_codebooks, whole)
    try:
        return make(recipe)
    except HalfWrong as why:  # nothing of the run is kept yet
        print(f"float32: {why}", file=sys.stderr)
        return make(replace(recipe, bf16=False))


class HalfWrong(Exception):
    """The first step of a run in half precision was not what float32 makes of it."""


def _made(
    family: str,
    variant: str,
    data: str,
    out: Path,
    steps: int,
    seed: int,
    device: str,
    save_every: int,
    weights: Path | None,
    new_codebooks: bool,
    whole: Recipe | UnitRecipe,
    recipe: Recipe | UnitRecipe,
) -> Path:
    """The run by `recipe`, from its beginning or its checkpoint to its weights and its card, which tells of the `whole` recipe."""
    if isinstance(recipe, UnitRecipe):
        with folder(out):
            units = hubert.prepare(family, variant, data, recipe, seed, device)
            go_on(units, out)
            keep(whole, out)
        line, facts = registry.variant(codec.label(family, variant)), open_data(data)
        loop(units, recipe, out, steps, save_every, hubert.one_step, hubert.scores)
        path = layers.export(units, out / "weights.safetensors")
        card.write(out, line.spec, units.learner.encoder, whole, facts, seed, device)
        return path
    with folder(out):
        run = codec.prepare(family, variant, data, recipe, seed, device, weights, new_codebooks)
        run.begun = f"`{weights.name}`, sha256 `{sha256_of(weights)}`" if weights else ""
        go_on(run, out)
        keep(whole, out)
    line, facts = registry.variant(codec.label(family, variant)), open_data(data)
    loop(run, recipe, out, steps, save_every, codec.one_step, heldout_scores)
    path = export(run.model, run.average, out / "weights.safetensors")
    card.write(out, line.spec, run.model, whole, facts, seed, device, run.begun)
    return path


def recipe_of(family: str, weights: Path | None = None, new_codebooks: bool = False) -> Recipe | UnitRecipe:
    """How a family is trained, or further trained from weights, unless told otherwise; UserError where nobody wrote that down."""
    recipes = RECIPES | UNIT_RECIPES | (FURTHER if weights and not new_codebooks else {})
    if FILE.fullmatch(family):
        return OWN
    if family not in recipes:
        raise UserError(f"no recipe for {family!r}: there is one for {', '.join(recipes)}")
    return recipes[family]


@contextmanager
def folder(out: Path) -> Iterator[None]:
    """The folder of a run, made before long preparations; where these fail an empty one goes again."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out} ({error.strerror}): give another folder with --out") from error
    try:
        yield
    except UserError:
        if not any(out.iterdir()):
            out.rmdir()
        raise


def go_on(run: Progress, out: Path) -> None:
    """Where the folder holds a checkpoint, the run from there."""
    if (out / "checkpoint.pt").exists():
        load(run, out / "checkpoint.pt")
    if isinstance(run, Run) and run.started is not None:
        for part in (*run.model.modules(), *run.following.modules()):
            if isinstance(part, Codebook):
                part.steps = run.step - run.started  # so that rare codes are looked for at the same steps
    trim_log(out / "log.jsonl", run.step)


def loop(
    run: R,
    recipe: Recipe | UnitRecipe,
    out: Path,
    steps: int,
    save_every: int,
    one_step: Callable[[R, int], dict[str, Tensor]],
    scores: Callable[[R], dict[str, float]],
) -> None:
    """All steps from run.step on: one_step(run, steps) gives the terms of the loss, scores(run) those of the held-out clips."""
    terms: list[dict[str, Tensor]] = []
    since = time.perf_counter()
    unproven = recipe.bf16 and torch.device(run.device).type == "cpu"
    while run.step < steps:
        terms.append(_proven_step(run, steps, one_step) if unproven else one_step(run, steps))
        unproven = False
        run.step += 1
        last = run.step == steps
        if run.step % recipe.report_every == 0 or last:
            names = dict.fromkeys(name for term in terms for name in term)  # some are not there at every step
            means = {name: float(torch.stack([term[name] for term in terms if name in term]).mean()) for name in names}
            seconds = (time.perf_counter() - since) / len(terms)
            report(out / "log.jsonl", {"step": run.step, "of": steps, "s/step": seconds, **means})
            terms.clear()
            if not all(math.isfinite(value) for value in means.values()):
                raise UserError(f"by step {run.step} the losses are no numbers any more: see {out / 'log.jsonl'}, lower the rate")
        if run.step % recipe.check_every == 0 or last:
            report(out / "log.jsonl", {"step": run.step, **scores(run)})
        if run.step % save_every == 0 or last:
            save(run, out / "checkpoint.pt")
        if not terms:
            since = time.perf_counter()


def _proven_step(run: R, steps: int, one_step: Callable[[R, int], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The first step, with all that it computes in half precision compared with float32."""
    with compared([run.model]) as wrong:
        terms = one_step(run, steps)
    if line := refusal(wrong, torch.bfloat16):
        raise HalfWrong(line)
    return terms


def bfloat16_pays() -> bool:
    """Whether this processor multiplies matrices faster in bfloat16 than in float32: without instructions for it, ten times slower."""

    def seconds(dtype: torch.dtype) -> float:
        one = torch.ones(512, 512, dtype=dtype)
        times = []
        for _ in range(4):  # the first sets up
            since = time.perf_counter()
            torch.mm(one, one)
            times.append(time.perf_counter() - since)
        return min(times)

    return seconds(torch.bfloat16) < seconds(torch.float32)
