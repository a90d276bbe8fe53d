"""Files of weights: found or fetched, proven by sha256, read without running anything that is in them.

A file fetched lands in the cache folder (AUDIO_TOKENIZER_BENCH_CACHE, else ~/.cache/audio-tokenizer-bench), first under a temporary
name, so that a broken download is never taken for the file. What a user can mend is a UserError of one line.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

import bench
from bench.api import Checkpoint, UserError
from bench.weights import joblib_reader

CHUNK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte


def cache_folder() -> Path:
    """Where fetched files are kept."""
    given = os.environ.get("AUDIO_TOKENIZER_BENCH_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "audio-tokenizer-bench"


def shipped(name: str) -> Path:
    """Where a file of this project lies, whether or not it is there."""
    places = [Path(root) / "tokenizers" / "weights" / name for root in bench.__path__]
    return next((place for place in places if place.is_file()), places[0])


def sha256_of(path: Path) -> str:
    """Hexadecimal digest of a file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read weights at {path}: {error.strerror or error}") from error


def locate(checkpoint: Checkpoint) -> Path:
    """The file on this machine, shipped, cached or fetched now, with its sha256 checked; an absolute `file` is one of the user's own."""
    if not checkpoint.url:
        path = shipped(checkpoint.file)
        if not path.is_file():
            raise UserError(
                checkpoint.cure or f"weights {checkpoint.file} are not in this installation ({path}): give the file with --weights PATH"
            )
        return _proven(path, checkpoint, "reinstall audio-tokenizer-bench, or give the file with --weights PATH")
    if not checkpoint.sha256:  # never fetch what could not be proven
        raise UserError(f"the sha256 of {checkpoint.file} is not known here: get {checkpoint.url} and give it with --weights PATH")
    path = cache_folder() / checkpoint.file
    if not path.is_file():
        _fetch(checkpoint, path)
    return _proven(path, checkpoint, "delete it and run again")


def _proven(path: Path, checkpoint: Checkpoint, cure: str) -> Path:
    found = sha256_of(path)
    if found != checkpoint.sha256:
        raise UserError(f"{path} has sha256 {found[:12]}..., not the pinned {checkpoint.sha256[:12]}...: {cure}")
    return path


def _fetch(checkpoint: Checkpoint, path: Path) -> None:
    """Download to a temporary name beside `path`, check, rename."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    except OSError as error:
        raise UserError(f"cannot write to {path.parent} ({error}): set AUDIO_TOKENIZER_BENCH_CACHE to another folder") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(checkpoint.url, timeout=TIMEOUT) as answer:
            while block := answer.read(CHUNK):
                file.write(block)
        _proven(part, checkpoint, f"the download from {checkpoint.url} was broken or the file was changed there, run again")
        part.replace(path)
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        hint = f"; {checkpoint.cure}" if checkpoint.cure else " or give it with --weights PATH; the @mini variants need no download"
        raise UserError(
            f"{checkpoint.file} is not here and cannot be fetched from {checkpoint.url} ({reason}): put it at {path}{hint}"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def load_state(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors file or from a pickle of tensors (which may sit under "model" or "state_dict"); as float32."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} cannot be read as weights ({why}): it must be safetensors or a plain pickle of tensors") from error
    for key in ("model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{path} holds something else than tensors by name")
    return {str(key): value.float() if value.is_floating_point() else value for key, value in state.items()}


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
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        cure = "`bench kmeans` writes one as .safetensors; .npy and scikit-learn's .bin are read, too"
        raise UserError(f"{path} cannot be read as a codebook ({why}): {cure}") from error
    if found.shape != (size, dimension):
        needed = f"this variant's codebook is [{size}, {dimension}]"
        raise UserError(f"{path} is {list(found.shape)}, {needed}: choose the variant that it is for")
    return found.float()


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
