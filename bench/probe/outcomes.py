"""Trained probes on disk, one JSON file each: a stopped run trains none twice, and what belongs to no tokenizer is trained once.

A file holds the question, all of an Outcome (learning curve, codebook weights, every answer in the test) and, for labels, the confusion.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.api import Data, UserError
from bench.data import RESAMPLER
from bench.probe.answers import Squares
from bench.probe.questions import Question
from bench.probe.training import Outcome, Point
from bench.records.writer import key_of, replace


def shared(results: Path, version: int, data: Data, seed: int) -> Path:
    """The folder of the probes that belong to data and no tokenizer."""
    facts = {"suite": "probe", "version": version, "data": data.sha256, "seed": seed, "resampler": RESAMPLER}
    return results / f"logmel-{key_of(facts)[:8]}"


def without(folder: Path, clips: Sequence[str]) -> Path:
    """The folder of the probes of a tokenizer that failed on those clips: a later run may have them to learn from, too."""
    return folder / f"without-{key_of(sorted(clips))[:8]}" if clips else folder


def forget(folder: Path) -> None:
    """Leaves no probe in a folder."""
    for path in folder.rglob("*.json"):
        path.unlink(missing_ok=True)


def read(path: Path) -> Outcome | None:
    """The outcome in a file; None: not there, or damaged, and to be trained again."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))["outcome"]
        answers = {clip: answer if isinstance(answer, str) else Squares(**answer) for clip, answer in held["answers"].items()}
        curve = tuple(Point(**point) for point in held["curve"])
        return Outcome(**held | {"weights": tuple(held["weights"]), "answers": answers, "curve": curve})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    except OSError as error:
        raise _failed(path, error) from error


def write(path: Path, question: Question, outcome: Outcome) -> None:
    """Keeps an outcome, whole or not at all."""
    held = {"question": question.name, "split": question.about, "labels": question.labels, "outcome": asdict(outcome)}
    if not question.sequence and not question.spectral:
        held["confusion"] = confusion(question, outcome)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, json.dumps(held, indent=1) + "\n")
    except OSError as error:
        raise _failed(path, error) from error


def confusion(question: Question, outcome: Outcome) -> list[list[int]]:
    """Clips of the test, a row for each right label and a column for each answer."""
    found = Counter((question.test[clip], answer) for clip, answer in outcome.answers.items())
    return [[found[right, answer] for answer in question.labels] for right in question.labels]


def _failed(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: {error.strerror or error}: correct it (or use --results DIR) and repeat the command")
