"""Trained models on disk, as what became of them, one JSON file each: a stopped run trains none twice.

A folder is named by the codes themselves and the parts they are in, so runs that ask for other columns of the same codes share it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.api import UserError
from bench.lm.streams import Alphabet, Stream
from bench.lm.training import Outcome, Point
from bench.records.writer import key_of, replace


def folder(results: Path, version: int, alphabet: Alphabet, streams: Mapping[str, Stream], parts: Sequence[Sequence[str]]) -> Path:
    """Where the models of these codes are."""
    digest = hashlib.sha256()
    for clip in (clip for part in parts for clip in part):
        codes = streams[clip].codes
        digest.update(repr((clip, streams[clip].seconds, codes.shape, codes.dtype.str)).encode() + codes.tobytes())
    facts = {"version": version, "alphabet": asdict(alphabet), "parts": [len(part) for part in parts], "codes": digest.hexdigest()}
    return results / f"models-{key_of(facts)[:8]}"


def forget(folder: Path) -> None:
    """Leaves no outcome in a folder."""
    for path in folder.glob("*.json"):
        path.unlink(missing_ok=True)


def read(path: Path) -> Outcome | None:
    """The outcome in a file; None: not there, or damaged, and to be trained again."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        bits = {clip: tuple(found) for clip, found in held["bits"].items()}
        return Outcome(**held | {"bits": bits, "shares": tuple(held["shares"]), "curve": tuple(Point(**p) for p in held["curve"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    except OSError as error:
        raise _failed(path, error) from error


def write(path: Path, outcome: Outcome) -> None:
    """Keeps an outcome, whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, json.dumps(asdict(outcome), indent=1) + "\n")
    except OSError as error:
        raise _failed(path, error) from error


def _failed(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: {error.strerror or error}: correct it (or use --results DIR) and repeat the command")
