"""Names -> things. A family is a file in tokenizers/, a suite a file in tasks/; nothing else has to know that they exist."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from bench.api import Checkpoint, Suite, Tokenizer, UserError, Variant, sha256_of_all
from bench.catalog import names as catalog
from bench.plugins import loading
from bench.plugins.fingerprint import fingerprint
from bench.weights import download


def families() -> dict[str, dict[str, Variant]]:
    """Family -> its variants, the default first."""
    return {name: importlib.import_module(f"bench.tokenizers.{name}").VARIANTS for name in catalog.families()}


def names() -> list[str]:
    """Every tokenizer as `family@variant`."""
    return catalog.labels()


def suites() -> list[str]:
    """The name of every suite."""
    return catalog.suites()


def load_suite(name: str) -> Suite:
    """The suite of that name."""
    if name not in suites():
        raise catalog.unknown("suite", name, suites())
    return importlib.import_module(f"bench.tasks.{name}").SUITE


def variant(name: str) -> Variant:
    """The one tokenizer that a name means (`bench.catalog.names`): `mimi`, `mimi@24khz`, `kyutai/mimi`, `./my_codec.py@8bit`."""
    if file := catalog.FILE.fullmatch(name):
        return _from_file(Path(file["path"]), file["variant"] or "")
    family, _, chosen = catalog.tokenizer(name).partition("@")
    return importlib.import_module(f"bench.tokenizers.{family}").VARIANTS[chosen]


def variants(words: Sequence[str]) -> list[Variant]:
    """All that words name, patterns as `opus@*` and comma lists among them."""
    return [variant(label) for word in catalog.tokenizers(words) for label in _labels(word)]


def _labels(word: str) -> list[str]:
    """`./my_codec.py@*` as the variants of the file; a label as it is."""
    file = catalog.FILE.fullmatch(word)
    if not file or not catalog.is_pattern(file["variant"] or ""):
        return [word]
    known = _variants_in(Path(file["path"]))
    if found := [name for name in known if catalog.matches(file["variant"], name)]:
        return [f"{file['path']}@{name}" for name in found]
    raise UserError(f"{file['path']} has no variant that {file['variant']!r} matches. It has {', '.join(known)}")


def variants_of(words: Sequence[str], weights: Path | None) -> list[Variant]:
    """The same; `weights`: a checkpoint of the user's own for the only one."""
    found = variants(words)
    if weights is None:
        return found
    if len(found) != 1:
        raise UserError(f"--weights belongs to one tokenizer, and {len(found)} are named: name one")
    return [with_weights(found[0], weights)]


def _choose(family: str, variants: dict[str, Variant], chosen: str) -> Variant:
    if chosen and chosen not in variants:
        raise UserError(f"{family} has no variant {chosen!r}{catalog.nearest(chosen, variants)} It has {', '.join(variants)}")
    return variants[chosen or next(iter(variants))]


def _variants_in(path: Path) -> dict[str, Variant]:
    """VARIANTS of a file of one's own."""
    if not path.is_file():
        raise UserError(f"no tokenizer file {path}: give the path of a Python file with VARIANTS (see README, 'Your own codec')")
    variants = getattr(loading.execute(path).module, "VARIANTS", None)
    if not isinstance(variants, dict) or not variants or not all(isinstance(v, Variant) for v in variants.values()):
        raise UserError(f"{path}: VARIANTS must be a dict of name -> bench.api.Variant (see README, 'Your own codec')")
    return variants


def _from_file(path: Path, chosen: str) -> Variant:
    variants = _variants_in(path)
    file = path.resolve()
    return replace(_beside(_choose(str(path), variants, chosen), file), code=download.sha256_of(file), file=file)


def _beside(variant: Variant, file: Path) -> Variant:
    """The same variant with its files of weights found from its own folder, and its spec naming them by their content."""

    def found(checkpoint: Checkpoint) -> Checkpoint:
        path = file.parent / checkpoint.file
        if checkpoint.url:
            return checkpoint
        cure = checkpoint.cure or f"{file.name}: its weights {checkpoint.file} are not at {path}: put them there, or give --weights FILE"
        sha256 = checkpoint.sha256 or (download.sha256_of(path) if path.is_file() else "")
        return replace(checkpoint, file=str(path), sha256=sha256, cure=cure)

    if variant.checkpoint is None:
        return variant
    checkpoint, beside = found(variant.checkpoint), tuple(map(found, variant.beside))
    stated = variant.spec.weights
    weights = sha256_of_all(checkpoint, *beside) if stated == "none" else stated
    return replace(variant, spec=replace(variant.spec, weights=weights), checkpoint=checkpoint, beside=beside)


def with_weights(variant: Variant, path: Path) -> Variant:
    """The same variant with the user's own file of weights; its sha256 becomes part of the spec, and so of every row's identity."""
    if variant.checkpoint is None and variant.file:
        cure = "give its Variant a Checkpoint('weights.pt', ''), and its class a second argument, the path"
        raise UserError(f"{variant.file.name}: {variant.spec.label} takes no weights from a file: {cure}, or leave --weights out")
    if variant.checkpoint is None:
        raise UserError(f"{variant.spec.label} takes no weights from a file: leave --weights out")
    given = Checkpoint(str(path.resolve()), download.sha256_of(path))
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
    paths = [download.locate(file, chosen.spec.licence) for file in chosen.files]
    with loading.active(chosen.file) if chosen.file else nullcontext():
        tokenizer = chosen.load(chosen.spec, *paths)
    if chosen.file:
        loading.usable(tokenizer, chosen.file)
    if isinstance(tokenizer, torch.nn.Module):
        tokenizer.to(device).eval().requires_grad_(False)
    return tokenizer


def pinned(chosen: Variant, device: str = "cpu") -> Variant:
    """The same variant; of a tokenizer of the user's own, `code` then covers all that it loads. It is loaded once for that."""
    if chosen.file is None:
        return chosen
    return replace(chosen, code=fingerprint(load_tokenizer(chosen, device), chosen.file, device))


def load_features(chosen: Variant, device: str = "cpu") -> Callable[[Tensor], Tensor]:
    """wav [B, C, T] -> [B, F, D]: what a codebook of that tokenizer is fitted to."""
    if chosen.features is None:
        able = [family for family, variants in families().items() if any(v.features for v in variants.values())]
        raise UserError(f"{chosen.spec.label} has no k-means codebook: choose a variant of {', '.join(able)}")
    features = chosen.features(chosen.spec, *(download.locate(file, chosen.spec.licence) for file in chosen.beside))
    return features.to(device).eval() if isinstance(features, torch.nn.Module) else features
