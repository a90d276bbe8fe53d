"""What the `pairs` suite can be asked for beyond its usual columns: more models, and sets of pairs in folders. Known without torch."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from bench.api import UserError

SEEDS, LIMIT = "seeds", "limit"
SETS = ("swuggy", "sblimp", "salmon")
WORDS = (SEEDS, LIMIT, *SETS)
MOST = {SEEDS: 20, LIMIT: 10**6}


@dataclass(frozen=True)
class Options:
    """How many models are trained, where which sets are, and how many pairs of them are asked about."""

    seeds: int = 1
    limit: int = 0  # pairs of each kind of a set, at most; 0: all
    sets: tuple[tuple[str, str], ...] = ()  # name and folder

    def __str__(self) -> str:
        numbers = [f"{SEEDS}={self.seeds}"] * (self.seeds > 1) + [f"{LIMIT}={self.limit}"] * (self.limit > 0)
        return ",".join(numbers + [f"{name}={folder}" for name, folder in self.sets])


def parse(text: str) -> Options:
    """UserError for a word that is none."""
    numbers, sets = {SEEDS: 1, LIMIT: 0}, dict[str, str]()
    for word in (word.strip() for word in text.split(",") if word.strip()):
        name, equals, value = word.partition("=")
        if name not in WORDS or not equals or not value:
            near = difflib.get_close_matches(name, WORDS, 1)
            wanted = f"{SEEDS}=N, {LIMIT}=N, {', '.join(f'{one}=FOLDER' for one in SETS)}"
            raise UserError(f"--pairs-options: {word!r} is none of {wanted}" + (f": did you mean {near[0]}=?" if near else ""))
        if name in numbers:
            if not value.isdecimal() or not 1 <= int(value) <= MOST[name]:
                raise UserError(f"--pairs-options: {word!r}: give a number from 1 to {MOST[name]:,}")
            numbers[name] = int(value)
        else:
            sets[name] = value
    return Options(numbers[SEEDS], numbers[LIMIT], tuple((name, sets[name]) for name in SETS if name in sets))


def refuse_missing(options: Options) -> None:
    """UserError for a folder that is not there."""
    for name, folder in options.sets:
        if not Path(folder).is_dir():
            raise UserError(f"--pairs-options: {name}={folder}: there is no such folder")
