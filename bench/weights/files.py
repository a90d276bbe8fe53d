"""Files of weights read without running anything that is in them, and put into models, strictly.

What a user can correct is a UserError of one line.
"""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.api import Spec, UserError
from bench.weights import joblib_reader

Model = TypeVar("Model", bound=nn.Module)
Renaming = Callable[[dict[str, Tensor]], dict[str, Tensor]]
Patterns = Sequence[tuple[str, str]]
"""Regular expression in a checkpoint's names -> what stands there in ours, applied in this order."""


UNREADABLE = (  # what readers raise on bytes that are of no such file: an unpickler stumbles over them in any way
    *(OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, ImportError),
    *(MemoryError, struct.error, zlib.error, zipfile.BadZipFile, pickle.UnpicklingError, SafetensorError),
)


HELD = ("model", "state_dict", "model_state_dict", "codec_model", "weights", "gEncoder")  # where a checkpoint's tensors may sit


def load_state(path: Path, parts: Mapping[str, str] | None = None) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors file or from a pickle of tensors, which may sit under a name of HELD; as float32.

    `parts`: where tensors sit under several names, those that are wanted -> what their tensors' names then begin with.
    """
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, pickle.UnpicklingError):  # torch's own words say how to run what is in it
            why = "it is no pickle of tensors alone"
        raise UserError(f"{path} cannot be read as weights ({why}): it must be safetensors or a plain pickle of tensors") from error
    return as_state(_of_parts(state, parts) if parts else state, path)


def as_state(state: object, path: Path) -> dict[str, Tensor]:
    """The tensors by name, as float32, of what was in the file at `path`; they may sit under a name of HELD."""
    for key in HELD:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{path} holds something else than tensors by name")
    return {str(key): value.float() if value.is_floating_point() else value for key, value in state.items()}


def _of_parts(state: object, parts: Mapping[str, str]) -> object:
    """The tensors of those parts, each under its part's beginning; what has not all of them stays as it is."""
    if not isinstance(state, dict) or not all(isinstance(state.get(part), dict) for part in parts):
        return state
    return {f"{begin}.{name}": value for part, begin in parts.items() for name, value in state[part].items()}


WEIGHT_NORM = (("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1"))


def fold_weight_norm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same state with each normed weight, under its old or its parametrized names, as the one tensor that it stands for."""
    state = dict(state)
    for length, direction in WEIGHT_NORM:
        for name in [name for name in state if name.endswith(f".{length}") and name.removesuffix(length) + direction in state]:
            stem = name.removesuffix(length)
            g, v = state.pop(name), state.pop(stem + direction)
            kept = next((i for i, size in enumerate(g.shape) if size > 1), 0)  # the one dimension along which lengths differ
            norm = torch.linalg.vector_norm(v, dim=[i for i in range(v.ndim) if i != kept], keepdim=True)
            state[f"{stem}weight"] = v * (g / norm)
    return state


def load_centroids(path: Path, size: int, dimension: int) -> Tensor:
    """A k-means codebook [size, dimension], float32: "centroids" in .safetensors, a .npy array, or scikit-learn's joblib file (.bin)."""
    try:
        if path.suffix == ".npy":
            found = torch.from_numpy(np.load(path, allow_pickle=False))
        elif path.suffix in (".bin", ".joblib"):
            found = joblib_reader.attributes(path)["cluster_centers_"]
        else:
            found = load_state(path)["centroids"]
    except UNREADABLE as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        cure = "`bench kmeans` writes one as .safetensors; .npy and scikit-learn's .bin are read, too"
        raise UserError(f"{path} cannot be read as a codebook ({why}): {cure}") from error
    if found.shape != (size, dimension):
        needed = f"this variant's codebook is [{size}, {dimension}]"
        raise UserError(f"{path} is {list(found.shape)}, {needed}: choose the variant that it is for")
    return found.float()


def renamed_by(patterns: Patterns, name: str) -> str:
    """A checkpoint's name of a tensor under ours; one that no pattern knows stays as it is."""
    for theirs, ours in patterns:
        name = re.sub(theirs, ours, name)
    return name


def seed_of(spec: Spec) -> int:
    """Of a variant without weights: "seed:0" -> 0."""
    return int(spec.weights.removeprefix("seed:"))


def filled_or_drawn(model: Model, spec: Spec, path: Path | None, ours: Renaming, draw: Callable[[Model, int], None]) -> Model:
    """The model with the weights of the file, by the names that `ours` gives them, or as `draw` makes them from the spec's seed."""
    if path is None:
        draw(model, seed_of(spec))
    else:
        fill(model, ours(load_state(path)), path)
    return model.eval()


def fill(model: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Put every tensor of `state` into the model, and every place of the model from it: strict."""
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise UserError(f"{path} does not fit this configuration: {' '.join(lines)[:300]}") from error


def seeded(model: nn.Module, generator: torch.Generator) -> None:
    """Random weights that depend on the generator alone: matrices keep the size of their input, biases are small, the rest stays."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim >= 2:
                value.copy_(torch.randn(value.shape, generator=generator) / value[0].numel() ** 0.5)
            elif name.endswith("bias"):
                value.copy_(torch.randn(value.shape, generator=generator) / 10)
