"""Listening tests that others made and whose audio is public: fetched once, file by file, each proven by sha256.

rated/NAME.jsonl: a line about the test (what it is, its scale, licences), then a line for each file: the codec ("" for the original), the
sentence, where it is at a fixed commit, its sha256, and the ratings of its listeners, or one mean. Audio stays out of this repository.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.api import Checkpoint, UserError
from bench.weights.download import locate

FOLDER = Path(__file__).parent / "rated"
ORIGINALS, RATINGS = "ref", "ratings.csv"
HEAD = ("tokenizer", "clip", "rating")


@dataclass(frozen=True)
class Rated:
    """A test. `files`: its lines."""

    name: str
    about: str
    licence: str
    files: Sequence[dict[str, Any]]

    @property
    def tokenizers(self) -> list[str]:
        return list(dict.fromkeys(line["tokenizer"] for line in self.files if line["tokenizer"]))


def names() -> list[str]:
    """Tests that are known."""
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def test_of(name: str) -> Rated:
    """A test by its name; UserError for one that is not known."""
    if name not in names():
        raise UserError(f"no listening test called {name!r}: name one of {', '.join(names())}")
    first, *files = (json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
    return Rated(name, first["about"], first["licence"], files)


def fetch(test: Rated, out: Path) -> Iterator[str]:
    """Writes the folders that `bench score` reads, a manifest of the originals, and ratings.csv. Tells how far it is."""
    for number, line in enumerate(test.files, 1):
        folder = out / (line["tokenizer"] or ORIGINALS)
        path = folder / (line["clip"] + line["suffix"])
        cached = f"listening/{test.name}/{folder.name}/{path.name}"
        found = locate(Checkpoint(cached, line["sha256"], line["source"], "run again: what came is kept"))
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, path)
        if number % 32 == 0 or number == len(test.files):
            yield f"{out}: {number} of {len(test.files)} files"
    originals = [line for line in test.files if not line["tokenizer"]]
    entries = ({"path": line["clip"] + line["suffix"], "speaker": line["speaker"]} for line in originals)
    (out / ORIGINALS / "manifest.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    with (out / RATINGS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEAD)
        writer.writerows((line["tokenizer"], line["clip"], value) for line in test.files for value in line.get("ratings", ()))


def ratings(path: Path) -> dict[tuple[str, str], float]:
    """(tokenizer, clip) -> the mean of its ratings, of a CSV file that has the columns tokenizer, clip and rating."""
    found: dict[tuple[str, str], list[float]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file)
            if lacking := [name for name in HEAD if name not in (lines.fieldnames or ())]:
                raise UserError(f"{path}: no column {lacking[0]}: a table of ratings has the columns {', '.join(HEAD)}")
            for line in lines:
                found.setdefault((line["tokenizer"], line["clip"]), []).append(_number(line["rating"], f"{path}:{lines.line_num}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a table of ratings ({error}): give a CSV file") from error
    if not found:
        raise UserError(f"{path} has no ratings")
    return {place: sum(values) / len(values) for place, values in found.items()}


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        raise UserError(f"{where}: {text!r} is no rating: write a number") from None
