"""Names -> things. A family is a file in tokenizers/, a suite a file in tasks/; nothing else has to know that they exist."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from bench.api import Checkpoint, Suite, Tokenizer, UserError, Variant, sha256_of_all
from bench.weights import files


def _files(room: str) -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(importlib.import_module(f"bench.{room}").__path__) if not m.name.startswith("_"))


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that nothing has: the nearest one first, then all."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f": did you mean {near[0]!r}?" if near else "."
    return UserError(f"no {kind} is called {name!r}{hint} Known: {', '.join(known)}")


def families() -> dict[str, dict[str, Variant]]:
    """Family -> its variants, the default first."""
    return {name: importlib.import_module(f"bench.tokenizers.{name}").VARIANTS for name in _files("tokenizers")}


def names() -> list[str]:
    """Every tokenizer as `family@variant`."""
    return [variant.spec.label for variants in families().values() for variant in variants.values()]


def suites() -> list[str]:
    """The name of every suite."""
    return _files("tasks")


def load_suite(name: str) -> Suite:
    """The suite of that name."""
    if name not in suites():
        raise unknown("suite", name, suites())
    return importlib.import_module(f"bench.tasks.{name}").SUITE


def variant(name: str) -> Variant:
    """`mimi` (the family's default), `mimi@24khz`, or a file of one's own: `./my_codec.py`, `./my_codec.py@8bit`."""
    family, _, chosen = name.rpartition("@") if "@" in name else (name, "", "")
    if family.endswith(".py"):
        return _from_file(Path(family), chosen)
    if family not in _files("tokenizers"):
        raise unknown("tokenizer", name, names())
    variants = importlib.import_module(f"bench.tokenizers.{family}").VARIANTS
    return _choose(family, variants, chosen)


def _choose(family: str, variants: dict[str, Variant], chosen: str) -> Variant:
    if chosen and chosen not in variants:
        raise unknown("tokenizer", f"{family}@{chosen}", [f"{family}@{key}" for key in variants])
    return variants[chosen or next(iter(variants))]


def _from_file(path: Path, chosen: str) -> Variant:
    if not path.is_file():
        raise UserError(f"no tokenizer file {path}: give the path of a Python file with VARIANTS (see README, 'Your own codec')")
    module = _execute(path)
    variants = getattr(module, "VARIANTS", None)
    if not isinstance(variants, dict) or not variants or not all(isinstance(v, Variant) for v in variants.values()):
        raise UserError(f"{path}: VARIANTS must be a dict of name -> bench.api.Variant (see README, 'Your own codec')")
    return replace(_choose(str(path), variants, chosen), code=hashlib.sha256(path.read_bytes()).hexdigest())


def _execute(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_tokenizer_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # the suffix is .py
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code may raise anything
        line = error.lineno if isinstance(error, SyntaxError) else _line(error, path)
        raise UserError(f"{path}:{line}: {type(error).__name__}: {error}") from error
    return module


def _line(error: BaseException, path: Path) -> int | str:
    trace, line = error.__traceback__, "?"
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def with_weights(variant: Variant, path: Path) -> Variant:
    """The same variant with the user's own file of weights; its sha256 becomes part of the spec, and so of every row's identity."""
    if variant.checkpoint is None:
        raise UserError(f"{variant.spec.label} takes no weights from a file: leave --weights out")
    given = Checkpoint(str(path.resolve()), files.sha256_of(path))
    beside = tuple(given if file == variant.checkpoint else file for file in variant.beside)
    return replace(
        variant, spec=replace(variant.spec, weights=sha256_of_all(given, *beside), trained_here=None), checkpoint=given, beside=beside
    )


def untrained(variant: Variant, seed: int) -> Variant:
    """The same variant with random weights: as fast and as large, and every table calls it untrained."""
    if variant.checkpoint is None:
        raise UserError(f"{variant.spec.label} takes no weights from a file: leave --untrained out")
    return replace(variant, spec=replace(variant.spec, weights=f"seed:{seed}", trained_here=None), checkpoint=None, beside=())


def load_tokenizer(chosen: Variant | str, device: str = "cpu") -> Tokenizer:
    """A tokenizer with its weights, on the device, ready for inference."""
    chosen = variant(chosen) if isinstance(chosen, str) else chosen
    spec = chosen.spec
    tokenizer = chosen.load(spec, *map(files.locate, chosen.files))
    if isinstance(tokenizer, torch.nn.Module):
        tokenizer.to(device).eval().requires_grad_(False)
    return tokenizer


def load_features(chosen: Variant, device: str = "cpu") -> Callable[[Tensor], Tensor]:
    """wav [B, C, T] -> [B, F, D]: what a codebook of that tokenizer is fitted to."""
    if chosen.features is None:
        able = [family for family, variants in families().items() if any(v.features for v in variants.values())]
        raise UserError(f"{chosen.spec.label} has no k-means codebook: choose a variant of {', '.join(able)}")
    features = chosen.features(chosen.spec, *map(files.locate, chosen.beside))
    return features.to(device).eval() if isinstance(features, torch.nn.Module) else features
