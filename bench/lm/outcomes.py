"""Trained models on disk, as what became of them, one JSON file each: a stopped run trains none twice.

A folder is named by the codes themselves and the parts they are in, so runs that ask for other columns of the same codes share it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from bench.api import UserError
from bench.lm.continuation import Judged
from bench.lm.streams import Alphabet, Stream
from bench.lm.training import Outcome, Point
from bench.records.writer import key_of, replace

Kept = TypeVar("Kept")


def folder(results: Path, version: int, alphabet: Alphabet, streams: Mapping[str, Stream], parts: Sequence[Sequence[str]]) -> Path:
    """Where the models of these codes are."""
    digest = hashlib.sha256()
    for clip in (clip for part in parts for clip in part):
        codes = streams[clip].codes
        digest.update(repr((clip, streams[clip].seconds, codes.shape, codes.dtype.str)).encode() + codes.tobytes())
    facts = {"version": version, "alphabet": asdict(alphabet), "parts": [len(part) for part in parts], "codes": digest.hexdigest()}
    return results / f"models-{key_of(facts)[:8]}"


def forget(folder: Path) -> None:
    """Leaves no outcome in a folder, and no weights."""
    for path in (*folder.glob("*.json"), *folder.glob("*.safetensors")):
        path.unlink(missing_ok=True)


def read(path: Path) -> Outcome | None:
    """The outcome in a file; None: not there, or damaged, and to be trained again."""
    return _read(path, _outcome)


def write(path: Path, outcome: Outcome) -> None:
    """Keeps an outcome, whole or not at all."""
    _write(path, asdict(outcome))


def read_judged(path: Path) -> dict[str, dict[str, Judged]] | None:
    """By kind and clip, what became of continuations; None as of `read`."""
    return _read(path, lambda held: {kind: {clip: Judged(**one) for clip, one in found.items()} for kind, found in held.items()})


def write_judged(path: Path, judged: Mapping[str, Mapping[str, Judged]]) -> None:
    """Keeps them as `write` does."""
    _write(path, {kind: {clip: asdict(one) for clip, one in found.items()} for kind, found in judged.items()})


def _outcome(held: dict) -> Outcome:
    bits = {clip: tuple(found) for clip, found in held["bits"].items()}
    return Outcome(**held | {"bits": bits, "shares": tuple(held["shares"]), "curve": tuple(Point(**p) for p in held["curve"])})


def _read(path: Path, made: Callable[[dict], Kept]) -> Kept | None:
    try:
        return made(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    except OSError as error:
        raise _failed(path, error) from error


def _write(path: Path, held: Mapping[str, object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, json.dumps(held, indent=1) + "\n")
    except OSError as error:
        raise _failed(path, error) from error


def _failed(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: {error.strerror or error}: correct it (or use --results DIR) and repeat the command")
