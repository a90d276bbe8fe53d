"""A training run in progress, its checkpoint and its log: what a kill at any moment must not break.

A checkpoint is written beside the old one and renamed over it, so there is always a whole one.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from bench.api import UserError
from bench.nn.quantize import Quantized
from bench.train.adversarial import Adversary
from bench.train.balance import Balancer
from bench.train.data import Corpus
from bench.train.distill import Teaching
from bench.train.losses import SpectralLoss
from bench.train.recipes import Recipe


class TrainableQuantizer(Protocol):
    """What a family's quantizer offers to training, beside being an nn.Module that holds ResidualQuantizers."""

    def __call__(self, x: Tensor, depth: Tensor, generator: torch.Generator) -> Quantized:
        """Latents [B, D, F], item b rebuilt from its first depth[b] levels."""
        ...

    def encode(self, x: Tensor, levels: int) -> Tensor:
        """Latents [B, D, F] -> codes [B, levels, F]."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, k, F] -> latents [B, D, F]."""
        ...


class Trainable(Protocol):
    """What a family's model offers to training, beside being an nn.Module and a Tokenizer."""

    @property
    def quantizer(self) -> TrainableQuantizer: ...

    def latents(self, wav: Tensor) -> Tensor:
        """wav [B, 1, n * hop] -> [B, D, n]."""
        ...

    def synthesis(self, latents: Tensor) -> Tensor:
        """[B, D, n] -> wav [B, 1, n * hop]."""
        ...


class Stateful(Protocol):
    """What a checkpoint can hold beside the model: a module, an optimizer, running sums."""

    def state_dict(self) -> dict[str, Any]: ...  # each has its own form
    def load_state_dict(self, state_dict: dict[str, Any], /) -> object: ...


@dataclass(kw_only=True)
class Progress:
    """Any training in progress: what its checkpoint holds."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    seed: int
    device: str
    step: int = 0
    started: int | None = None  # step from which on a codec learns with codes
    settled: bool = False  # from here on only the decoder of a codec learns
    average: dict[str, Tensor] = field(default_factory=dict)  # of the weights
    begun: str = ""  # the weights that it began from, in words; "": random ones
    beside: dict[str, Stateful] = field(default_factory=dict)  # what else learns and is not shipped: a discriminator, its optimizer, ...


@dataclass(kw_only=True)
class Run(Progress):
    """The training of a codec in progress."""

    recipe: Recipe
    corpus: Corpus
    loss: SpectralLoss
    hop: int  # samples per frame
    crop: int  # samples, whole frames
    sample_rate: int
    levels: int
    following: nn.ModuleList = field(default_factory=nn.ModuleList)  # running sums that factorised codes follow
    balancer: Balancer | None = None
    adversary: Adversary | None = None
    teaching: Teaching | None = None
    searched: dict[int, Tensor] = field(default_factory=dict)  # once settled: codes of a batch that comes again, by its number

    @property
    def codec(self) -> Trainable:
        """The model, seen as what training needs of it."""
        return cast(Trainable, self.model)


def drawn(run: Progress, purpose: int) -> torch.Generator:
    """A generator that depends on the seed, the step and the purpose alone."""
    return torch.Generator().manual_seed((run.seed * 1_000_003 + run.step) * 10 + purpose)


@torch.no_grad()
def follow(run: Progress, names: Iterable[tuple[str, Tensor]], decay: float) -> None:
    """One step of the mean of these weights."""
    share = 1 - min(decay, (1 + run.step) / (10 + run.step))  # the mean is short at first: the first weights are worth nothing
    for name, value in names:
        run.average[name].lerp_(value.detach(), share)


@contextmanager
def at_average(run: Progress) -> Iterator[None]:
    """The model with the mean of its weights, not learning; afterwards as it was."""
    live = {name: value.detach().clone() for name, value in run.model.named_parameters()}
    run.model.load_state_dict(run.average, strict=False)
    run.model.eval()
    yield
    run.model.load_state_dict(live, strict=False)
    run.model.train()


def save(run: Progress, path: Path) -> None:
    """All that the next step needs, under its name only when it is whole."""
    state = {"step": run.step, "seed": run.seed, "started": run.started, "settled": run.settled, "average": run.average, "begun": run.begun}
    state |= {"model": run.model.state_dict(), "optimizer": run.optimizer.state_dict()}
    state |= {"beside": {name: part.state_dict() for name, part in run.beside.items()}}
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load(run: Progress, path: Path) -> None:
    """Put a saved state back. Raises UserError where it belongs to another run."""
    try:
        state = torch.load(path, map_location=run.device, weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} cannot be read as a checkpoint ({error}): give another folder with --out") from error
    if state["seed"] != run.seed:
        raise UserError(f"{path} was begun with seed {state['seed']}, not {run.seed}: give that seed, or another folder with --out")
    if run.begun and state.get("begun", run.begun) != run.begun:
        began = state["begun"] or "random weights"
        raise UserError(f"{path} was begun from {began}: leave --weights out, or give another folder with --out")
    try:
        run.model.load_state_dict(state["model"])
        run.optimizer.load_state_dict(state["optimizer"])
        beside = state.get("beside", {})
        if beside.keys() != run.beside.keys():
            raise ValueError(f"it holds {', '.join(beside) or 'nothing'} beside the model, not {', '.join(run.beside) or 'nothing'}")
        for name, part in run.beside.items():
            part.load_state_dict(beside[name])
    except (RuntimeError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise UserError(f"{path} belongs to another configuration ({why}): give another folder with --out") from error
    run.step, run.started, run.settled, run.average = state["step"], state["started"], state["settled"], state["average"]
    run.begun = state.get("begun", run.begun)


def report(path: Path, facts: dict[str, float]) -> None:
    """One line for people, one for machines."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")
    print("  ".join(f"{name} {value:g}" if isinstance(value, int) else f"{name} {value:.4f}" for name, value in facts.items()), flush=True)


def trim_log(path: Path, step: int) -> None:
    """Forget the lines of steps that a kill has lost."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
