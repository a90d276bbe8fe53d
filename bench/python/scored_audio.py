"""Folders of audio that something made -> tokenizers whose reconstructions are those files, for suites that need no codes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from bench.api import Clip, Data, Spec, Suite, Tokenizer, UserError, Variant
from bench.data.clips import fingerprint
from bench.data.manifests import fetch, open_data

NAMED = 5  # files in a note


def paired(ref: str, est: Mapping[str, str | Path]) -> tuple[list[Variant], Data, list[str]]:
    """Files of the same relative name, whatever their suffix. Those without a partner are left out, counted and named in the notes."""
    fetch(ref)
    originals = open_data(ref)
    root = _root(ref)
    keys = {_key(clip, root): clip for clip in originals.clips}
    if len(keys) < len(originals.clips):
        raise UserError(f"{ref}: two files differ in nothing but their suffix: keep one of them")
    sides = {name: _side(name, folder) for name, folder in est.items()}
    common = [key for key in keys if all(key in side for side in sides.values())]
    if not common:
        raise UserError(f"no file of {', '.join(map(str, est.values()))} has the relative name of one in {ref}: give folders that match")
    clips = tuple(keys[key] for key in common)
    notes = _notes("reference", ref, [key for key in keys if key not in common])
    for name, side in sides.items():
        notes += _notes("reconstruction", name, [key for key in side if key not in common])
    data = Data(originals.name, clips, fingerprint(clips))
    return [_variant(name, {keys[key].id: side[key] for key in common}) for name, side in sides.items()], data, notes


def _root(ref: str) -> Path | None:
    path = Path(ref)
    return path.resolve() if path.is_dir() else path.resolve().parent if path.is_file() else None


def _key(clip: Clip, root: Path | None) -> str:
    path = clip.path.resolve() if clip.span is None else clip.path.resolve().with_suffix("") / clip.id
    relative = path.relative_to(root).as_posix() if root and path.is_relative_to(root) else path.name
    return str(PurePosixPath(relative).with_suffix(""))


def _side(name: str, folder: str | Path) -> dict[str, Clip]:
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no folder of audio: give one for {name} with --est")
    return {_key(clip, Path(folder).resolve()): clip for clip in open_data(str(Path(folder).resolve())).clips}


def _notes(kind: str, where: str, keys: list[str]) -> list[str]:
    if not keys:
        return []
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return [f"{where}: {len(keys)} {kind} file{'s' * (len(keys) > 1)} without a partner left out: {', '.join(keys[:NAMED])}{more}"]


def _variant(name: str, files: Mapping[str, Clip]) -> Variant:
    """Its rows belong to these very files."""
    code = hashlib.sha256("".join(f"{key} {clip.sha256}\n" for key, clip in sorted(files.items())).encode()).hexdigest()
    spec = Spec(re.sub(r"[^\w.-]+", "_", name) or "scored", "audio", None, ())
    return Variant(spec, _nothing, code=code, audio=dict(files))


def _nothing(spec: Spec) -> Tokenizer:
    raise UserError(f"{spec.label} is audio, no tokenizer: only suites that need no codes can score it")


def without_codes(suite: Suite) -> Suite:
    """The suite without the columns that are about codes. UserError for one that is about nothing else."""
    if not suite.needs_decode or suite.needs_codes:
        raise UserError(f"the {suite.name} suite needs codes, and scored audio has none: choose reconstruction, asr or speaker")
    return replace(
        suite,
        metrics=tuple(m for m in suite.metrics if not m.fixed),
        headline=tuple(name for name in suite.headline if not _fixed(suite, name)),
        overview=tuple(name for name in suite.overview if not _fixed(suite, name)),
    )


def _fixed(suite: Suite, name: str) -> bool:
    return next(m.fixed for m in suite.metrics if m.name == name)
