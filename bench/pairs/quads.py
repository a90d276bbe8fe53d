"""Two beginnings and two ends, each of which fits one of the others: two pairs of sounds, a right and a wrong one with the same beginning.

As every beginning and every end is once in a right and once in a wrong sound, what can be said of a piece by itself, how long it is or how
common its codes, is right in one of the two pairs and wrong in the other, by as much: over both together it says nothing, and only what
the two pieces tell of each other does.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.pairs.pieces import Piece, Sound, sound


@dataclass(frozen=True)
class Quad:
    """left[i] and right[i] fit each other. `item`: what is asked, whoever says it; `voice`: who says it."""

    kind: str
    item: str
    voice: str
    left: tuple[tuple[Piece, ...], tuple[Piece, ...]]
    right: tuple[tuple[Piece, ...], tuple[Piece, ...]]

    @property
    def id(self) -> str:
        """Of its own."""
        return f"{self.kind}/{self.voice}/{self.item}"

    def sides(self) -> Iterator[tuple[str, Sound]]:
        """Its four sounds, by name."""
        for i in (0, 1):
            for j in (0, 1):
                yield f"{self.id}/{i}{j}", sound((*self.left[i], *self.right[j]))

    def pairs(self) -> Iterator[Pair]:
        """Its two pairs."""
        for i in (0, 1):
            yield Pair(self.kind, self.item, self.voice, f"{self.id}/{i}{i}", f"{self.id}/{i}{1 - i}", self.id)


@dataclass(frozen=True)
class Pair:
    """The names of two sounds, of which the first is the right one."""

    kind: str
    item: str
    voice: str
    right: str
    wrong: str
    quad: str = ""  # that it is one of the two pairs of; "": it is decided alone

    @property
    def id(self) -> str:
        """Of its own."""
        return self.right

    @property
    def question(self) -> str:
        """What it is decided in: its quad, or itself."""
        return self.quad or self.id


def drawn(names: Iterable[str], seed: int) -> list[str]:
    """Names in an order that depends on the seed and on each name alone."""
    return sorted(set(names), key=lambda name: _hash(seed, name))


def even(candidates: Sequence[tuple[str, ...]], count: int) -> list[tuple[str, ...]]:
    """`count` of the candidates, in which every part comes about as often as any other; of those that are as good, the first."""
    used, left, found = Counter[str](), list(candidates), list[tuple[str, ...]]()
    while left and len(found) < count:
        best = min(left, key=lambda parts: sum(used[part] ** 2 for part in parts))
        left.remove(best)
        found.append(best)
        used.update(best)
    return found


def rng_of(seed: int, name: str) -> np.random.Generator:
    """A generator that depends on the seed and on the name alone."""
    return np.random.default_rng(int.from_bytes(_hash(seed, name)))


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()
