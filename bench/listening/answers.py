"""Answers of a blind test: CSV files as the page gives them, one line per rated sound, read with the key that says what each sound is."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.api import UserError
from bench.listening.blind_test import FORM, REFERENCE

COLUMNS = ("test", "listener", "trial", "item", "condition", "position", "rating", "plays", "seconds")
NEEDED = ("test", "listener", "item", "condition", "rating")
SCALE = (0.0, 100.0)


@dataclass(frozen=True)
class Condition:
    """What a rated sound is: `kind` is reference, anchor or tokenizer; `scores` are a tokenizer's on that clip."""

    item: str
    kind: str
    name: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Key:
    """What the experimenter knows of a test."""

    test: str
    title: str
    conditions: Mapping[str, Condition]  # by what they are called before listeners
    metrics: Sequence[Mapping[str, str]]
    runs: Sequence[Mapping[str, str]]

    @property
    def items(self) -> list[str]:
        return list(dict.fromkeys(c.item for c in self.conditions.values()))

    @property
    def names(self) -> dict[str, str]:
        """Condition -> its kind: reference, tokenizers, anchors."""
        found = {c.name: c.kind for c in self.conditions.values()}
        order = (REFERENCE, "tokenizer", "anchor")
        return dict(sorted(found.items(), key=lambda pair: order.index(pair[1])))


@dataclass(frozen=True)
class Rating:
    """One answer, 0 to 100."""

    listener: str
    item: str
    name: str
    value: float


@dataclass(frozen=True)
class Answers:
    """All ratings of a test."""

    key: Key
    ratings: tuple[Rating, ...]

    @cached_property
    def listeners(self) -> list[str]:
        return sorted({r.listener for r in self.ratings})

    def of(self, listener: str) -> list[Rating]:
        return [r for r in self.ratings if r.listener == listener]

    def table(self, name: str) -> dict[tuple[str, str], float]:
        """(listener, item) -> rating of a condition."""
        return {(r.listener, r.item): r.value for r in self.ratings if r.name == name}

    def without(self, listeners: Sequence[str]) -> Answers:
        """The answers of the others."""
        return Answers(self.key, tuple(r for r in self.ratings if r.listener not in listeners))


def read_key(path: Path) -> Key:
    """key.json of a test; `path` may be its folder."""
    path = path / "key.json" if path.is_dir() else path
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["form"] != FORM:
            raise UserError(f"{path}: of another version of bench listening make: analyse it with that one")
        conditions = {
            c["id"]: Condition(item["id"], c["kind"], c["name"], c["scores"]) for item in found["items"] for c in item["conditions"]
        }
        return Key(found["test"], found["title"], conditions, found["metrics"], found["runs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the key of a test ({error}): name the folder that bench listening make wrote with --test") from error


def read(files: Sequence[Path], key: Key) -> Answers:
    """The ratings in CSV files. UserError with the line that is no answer to this test."""
    found: dict[tuple[str, str], tuple[Rating, str]] = {}
    for path in files:
        for number, line in _lines(path):
            rating = _rating(line, key, f"{path}:{number}")
            place = (rating.listener, line["condition"])
            if place in found and found[place][0].value != rating.value:
                before = f"{rating.listener} has rated {line['condition']} of {rating.item} already, otherwise, in {found[place][1]}"
                raise UserError(f"{path}:{number}: {before}: leave one of them out")
            found.setdefault(place, (rating, f"{path}:{number}"))
    return Answers(key, tuple(rating for rating, _ in found.values()))


def _lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if lacking := [name for name in NEEDED if name not in (reader.fieldnames or ())]:
                raise UserError(f"{path}: no answers of a test, it lacks the columns {', '.join(lacking)}")
            return [(reader.line_num, line) for line in reader]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}): name the CSV files that listeners saved") from error


def _rating(line: Mapping[str, str], key: Key, where: str) -> Rating:
    if line["test"] != key.test:
        raise UserError(f"{where}: an answer to the test {line['test']}, not to {key.test}: name the other test with --test")
    condition = key.conditions.get(line["condition"])
    if condition is None or condition.item != line["item"]:
        raise UserError(f"{where}: the test has no sound {line['condition']} of {line['item']}")
    if not line["listener"]:
        raise UserError(f"{where}: no listener is named")
    try:
        value = float(line["rating"])
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: the rating {line['rating']!r} is no number") from error
    if not SCALE[0] <= value <= SCALE[1]:
        raise UserError(f"{where}: the rating {value:g} is not between 0 and 100")
    return Rating(line["listener"], condition.item, condition.name, value)
