"""ABX on codes: is x, which is the same phone as a in the same context, nearer to a than to b, whose middle phone is another?

As in ZeroSpeech (arxiv.org/abs/2011.11588): items are triphones; `within`, all three are of one voice; `across`, x is of another than a
and b; ties count half; the error is the mean over a cell's triplets, then over cells (contexts, voices of x), voices, ordered pairs of
phones. Items have their codes RATE times a second. The distance is the mean over the path of dynamic time warping of the share of
codebooks whose codes differ; of paths that cost the same, the one with steps along both axes, then along b's, counts.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.data.alignments import Item

RATE = 100  # Hz
GROUP, OTHERS = 10, 5  # items of a kind in a cell, and voices of x for an a and b, at most: drawn where there are more
CELLS = 5000  # at most
BATCH = 1024  # pairs of items at a time


@dataclass(frozen=True)
class Token:
    """An item of a voice with its codes [codebooks, n]."""

    voice: str
    name: str
    context: tuple[str, str]
    codes: np.ndarray


@dataclass(frozen=True)
class Cell:
    """The numbers of tokens a, b and x; within a voice a and x are the same ones, and none is compared with itself."""

    phones: tuple[str, str]
    voice: str
    a: tuple[int, ...]
    b: tuple[int, ...]
    x: tuple[int, ...]


def frames(item: Item) -> np.ndarray:
    """Seconds of the middles of frames that lie within an item."""
    first, last = math.ceil(round(item.start * RATE - 0.5, 6)), math.floor(round(item.end * RATE - 0.5, 6))
    return (np.arange(first, last + 1) + 0.5) / RATE


def within(tokens: Sequence[Token], seed: int, group: int | None = GROUP) -> list[Cell]:
    """The cells of one voice: two items at least of the phone of a and x."""
    kinds = _kinds(tokens, seed, group)
    found = [
        Cell((key[0], other[0]), key[1], a, b, a)
        for alike in _by(kinds, lambda key: (key[1], key[2])).values()
        for (key, a), (other, b) in itertools.permutations(alike, 2)
        if len(a) > 1
    ]
    return _drawn(found, seed)


def across(tokens: Sequence[Token], seed: int, group: int | None = GROUP, others: int | None = OTHERS) -> list[Cell]:
    """The cells of a and b of one voice, x of another."""
    kinds, random, found = _kinds(tokens, seed, group), np.random.default_rng(seed), []
    of_kind = _by(kinds, lambda key: (key[0], key[2]))
    for alike in _by(kinds, lambda key: (key[1], key[2])).values():
        for (key, a), (other, b) in itertools.permutations(alike, 2):
            voices = [x for (_, voice, _), x in of_kind[key[0], key[2]] if voice != key[1]]
            if others is not None and len(voices) > others:
                voices = [voices[i] for i in sorted(random.choice(len(voices), others, replace=False))]
            found += [Cell((key[0], other[0]), key[1], a, b, x) for x in voices]
    return _drawn(found, seed)


Kind = tuple[str, str, tuple[str, str]]
"""Phone, voice, context."""


def _kinds(tokens: Sequence[Token], seed: int, group: int | None) -> dict[Kind, tuple[int, ...]]:
    kinds: dict[Kind, list[int]] = defaultdict(list)
    for i, token in enumerate(tokens):
        kinds[token.name, token.voice, token.context].append(i)
    random = np.random.default_rng(seed)
    return {
        kind: tuple(sorted(random.choice(found, group, replace=False).tolist())) if group and len(found) > group else tuple(found)
        for kind, found in sorted(kinds.items())
    }


def _by(kinds: Mapping[Kind, tuple[int, ...]], key: Callable[[Kind], Hashable]) -> dict[Hashable, list[tuple[Kind, tuple[int, ...]]]]:
    found: dict[Hashable, list[tuple[Kind, tuple[int, ...]]]] = defaultdict(list)
    for kind, numbers in kinds.items():
        found[key(kind)].append((kind, numbers))
    return found


def _drawn(cells: list[Cell], seed: int) -> list[Cell]:
    if len(cells) <= CELLS:
        return cells
    return [cells[i] for i in sorted(np.random.default_rng(seed).choice(len(cells), CELLS, replace=False))]


def errors(tokens: Sequence[Token], cells: Sequence[Cell]) -> list[float]:
    """The error of the whole tokenizer, then that of each codebook by itself; shares from 0 to 1."""
    pairs = sorted({pair for cell in cells for pair in _pairs(cell)}, key=lambda pair: sum(tokens[i].codes.shape[1] for i in pair))
    far: dict[tuple[int, int], np.ndarray] = {}
    for start in range(0, len(pairs), BATCH):
        batch = pairs[start : start + BATCH]
        far.update(zip(batch, distances([(tokens[i].codes, tokens[j].codes) for i, j in batch]), strict=True))
    scored = [(cell, _error(cell, far)) for cell in cells]
    voices: dict[tuple, list[np.ndarray]] = defaultdict(list)
    for cell, error in scored:
        voices[cell.phones, cell.voice].append(error)
    phones: dict[tuple, list[np.ndarray]] = defaultdict(list)
    for (pair, _), found in voices.items():
        phones[pair].append(np.mean(found, axis=0))
    return np.mean([np.mean(found, axis=0) for found in phones.values()], axis=0).tolist()


def _pairs(cell: Cell) -> list[tuple[int, int]]:
    return [*((x, a) for x, a in itertools.product(cell.x, cell.a) if x != a), *itertools.product(cell.x, cell.b)]


def _error(cell: Cell, far: Mapping[tuple[int, int], np.ndarray]) -> np.ndarray:
    """[1 + codebooks]."""
    triplets = ((x, a, b) for x, a, b in itertools.product(cell.x, cell.a, cell.b) if a != x)
    wrong = [(1 + np.sign(far[x, a] - far[x, b])) / 2 for x, a, b in triplets]
    return np.mean(wrong, axis=0)


def distances(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Pairs of codes [K, n], [K, m] -> [pairs, 1 + K]: of all codebooks together, then of each; of one codebook both are the same."""
    lengths = np.array([(x.shape[1], y.shape[1]) for x, y in pairs])
    books = len(pairs[0][0])
    x, y = (np.zeros((len(pairs), books, lengths[:, side].max()), dtype=np.int64) for side in (0, 1))
    for i, (one, other) in enumerate(pairs):
        x[i, :, : one.shape[1]], y[i, :, : other.shape[1]] = one, other
    unlike = x[:, :, :, None] != y[:, :, None, :]
    if books == 1:
        return np.repeat(_warped(unlike[:, 0].astype(np.int32), lengths)[:, None], 2, 1)
    whole = _warped(unlike.sum(1, dtype=np.int32), lengths) / books
    return np.stack([whole, *(_warped(unlike[:, k].astype(np.int32), lengths) for k in range(books))], 1)


def _warped(cost: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """cost [P, n, m], whole numbers, of which pair p has lengths[p] -> the mean cost along the cheapest path [P], by diagonals."""
    count, n, m = cost.shape
    far = np.int32(2**30)
    last, before = (np.full((count, n + 1), far, np.int32) for _ in range(2))  # totals of the diagonals i + j = d - 1, d - 2, at i + 1
    steps_last, steps_before = (np.zeros((count, n + 1), np.int32) for _ in range(2))
    found = np.zeros(count)
    for d in range(n + m - 1):
        i = np.arange(max(0, d - m + 1), min(n, d + 1))
        total, steps = np.full((count, n + 1), far, np.int32), np.zeros((count, n + 1), np.int32)
        diagonal, left, up = before[:, i], last[:, i + 1], last[:, i]
        straight = (diagonal <= left) & (diagonal <= up)
        least = np.where(straight, diagonal, np.minimum(left, up))
        walked = np.where(straight, steps_before[:, i], np.where(left <= up, steps_last[:, i + 1], steps_last[:, i]))
        total[:, i + 1] = cost[:, i, d - i] + (least if d else 0)
        steps[:, i + 1] = 1 + walked
        ended = np.flatnonzero(lengths.sum(1) - 2 == d)
        ends = lengths[ended, 0]
        found[ended] = total[ended, ends] / steps[ended, ends]
        before, last, steps_before, steps_last = last, total, steps_last, steps
    return found
