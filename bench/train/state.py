"""A training run in progress, its checkpoint and its log: what a kill at any moment must not break.

A checkpoint is written beside the old one and renamed over it, so there is always a whole one.
"""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from bench.api import UserError
from bench.nn.quantize import Codebook, Quantized
from bench.train.data import Corpus
from bench.train.losses import SpectralLoss
from bench.train.recipes import Recipe


class TrainableQuantizer(Protocol):
    """What a family's quantizer offers to training, beside being an nn.Module that holds ResidualQuantizers."""

    def __call__(self, x: Tensor, dropout: float, generator: torch.Generator) -> Quantized:
        """Latents [B, D, F], with a share `dropout` of the items rebuilt from fewer levels."""
        ...

    def encode(self, x: Tensor, levels: int) -> Tensor:
        """Latents [B, D, F] -> codes [B, levels, F]."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, k, F] -> latents [B, D, F]."""
        ...

    def eval(self) -> nn.Module:
        """From now on codebooks do not learn."""
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


@dataclass
class Run:
    """A run in progress."""

    model: nn.Module
    recipe: Recipe
    corpus: Corpus
    loss: SpectralLoss
    optimizer: torch.optim.Optimizer
    seed: int
    device: str
    hop: int  # samples a frame
    crop: int  # samples, whole frames
    sample_rate: int
    levels: int
    step: int = 0
    settled: bool = False
    average: dict[str, Tensor] = field(default_factory=dict)  # of the weights

    @property
    def codec(self) -> Trainable:
        """The model, seen as what training needs of it."""
        return cast(Trainable, self.model)


def save(run: Run, path: Path) -> None:
    """All that the next step needs, under its name only when it is whole."""
    state = {"step": run.step, "seed": run.seed, "settled": run.settled, "average": run.average}
    state |= {"model": run.model.state_dict(), "optimizer": run.optimizer.state_dict()}
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load(run: Run, path: Path) -> None:
    """Put a saved state back. Raises UserError where it belongs to another run."""
    try:
        state = torch.load(path, map_location=run.device, weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} cannot be read as a checkpoint ({error}): give another folder with --out") from error
    if state["seed"] != run.seed:
        raise UserError(f"{path} was begun with seed {state['seed']}, not {run.seed}: give that seed, or another folder with --out")
    try:
        run.model.load_state_dict(state["model"])
        run.optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise UserError(f"{path} belongs to another configuration ({why}): give another folder with --out") from error
    run.step, run.settled, run.average = state["step"], state.get("settled", False), state["average"]
    for part in run.model.modules():
        if isinstance(part, Codebook):
            part.steps = max(0, run.step - run.recipe.plain)  # so that rare codes are looked for at the same steps


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
