"""One run in several parts, made anywhere and at any time: results/<suite>/<label>-<key8>/shards/<number>-of-<of>/{run.json, rows.csv}.

A shard has the identity, and so the key, of the whole run: it knows all of the data, and scores every of-th clip of it. It lies a level
below the whole run's folder, where nothing takes it for a run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import Clip

FOLDER = "shards"


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `of`: neighbours in the data go to different shards, so that all have clips of every kind."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def place(self) -> Path:
        """Its folder, in that of the whole run."""
        return Path(FOLDER, f"{self.number}-of-{self.of}")

    def clips(self, clips: Sequence[Clip]) -> Sequence[Clip]:
        """Those of the data that are its own, in their order."""
        return clips[self.number - 1 :: self.of]


def shard_of(text: str) -> Shard:
    """`3/8`; ValueError for what is none."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"must be i/n with 1 <= i <= n, as 3/8, not {text!r}")
    return Shard(int(found[1]), int(found[2]))
