"""Acoustic BPE: a layout that is learnt, for codes [K, F] flattened frame by frame (Shen et al. 2024, arxiv.org/abs/2310.14580).

Every code is a letter, the codes of each codebook behind those of the one before; byte-pair encoding (Sennrich et al. 2016) then makes one
token of what comes together most often. The letters are those of the package codec-bpe and the merges those of Hugging Face's trainer (of
pairs that come equally often, the one with the smaller numbers), so that what is learnt and written here can be read there. Exact:
decoding gives the codes.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.api import Spec, UserError

CODES, LARGE = 0x4E00, 0xE000  # the letter of code 0 of the first codebook; the second where the first would run into the surrogates
SURROGATES, END = 0xD800, 0x110000
Pair = tuple[int, int]


@dataclass(frozen=True)
class Bpe:
    """A vocabulary of `letters` codes, over all codebooks, and what was learnt: token letters + i begins as the i-th of `merges`."""

    letters: int
    merges: tuple[Pair, ...]

    @cached_property
    def spelt(self) -> list[tuple[int, ...]]:
        """The letters of every token. Two merges that spell the same are one token."""
        return [*((letter,) for letter in range(self.letters)), *dict.fromkeys(self._spelling)]

    @cached_property
    def _spelling(self) -> list[tuple[int, ...]]:
        return _spelling(self.letters, self.merges)

    @cached_property
    def _ranks(self) -> dict[Pair, tuple[int, int]]:
        token = {spelt: i for i, spelt in enumerate(self.spelt)}
        return {pair: (rank, token[spelt]) for rank, (pair, spelt) in enumerate(zip(self.merges, self._spelling, strict=True))}

    def encode(self, letters: np.ndarray) -> np.ndarray:
        """Letters [n] -> tokens [m]: the merge that was learnt first is made first, from left to right."""
        ids, after = letters.tolist(), list(range(1, len(letters) + 1))
        before = list(range(-1, len(letters) - 1))
        ranks, alive = self._ranks, [True] * len(ids)
        heap = [(ranks[pair][0], i, ranks[pair][1], *pair) for i, pair in enumerate(itertools.pairwise(ids)) if pair in ranks]
        heapq.heapify(heap)
        while heap:
            _, i, token, a, b = heapq.heappop(heap)
            j = after[i]
            if not alive[i] or ids[i] != a or j >= len(ids) or ids[j] != b:
                continue
            ids[i], alive[j], after[i] = token, False, after[j]
            if after[i] < len(ids):
                before[after[i]] = i
            for left, right in ((before[i], i), (i, after[i])):
                if left >= 0 and right < len(ids) and (found := ranks.get((ids[left], ids[right]))):
                    heapq.heappush(heap, (found[0], left, found[1], ids[left], ids[right]))
        return np.array([token for token, there in zip(ids, alive, strict=True) if there], dtype=np.int64)

    def decode(self, tokens: Iterable[int]) -> np.ndarray:
        """Tokens -> letters [n]."""
        return np.array([letter for token in tokens for letter in self.spelt[token]], dtype=np.int64)


def _spelling(letters: int, merges: Sequence[Pair]) -> list[tuple[int, ...]]:
    """What each merge spells."""
    spelt: list[tuple[int, ...]] = [(letter,) for letter in range(letters)]
    known, made = set(spelt), []
    for a, b in merges:
        made.append(spelt[a] + spelt[b])
        if made[-1] not in known:
            known.add(made[-1])
            spelt.append(made[-1])
    return made


def letters(codes: np.ndarray, spec: Spec) -> np.ndarray:
    """Codes [K, F] -> letters [K F], frame by frame."""
    return (codes.astype(np.int64) + _starts(spec)[:, None]).T.reshape(-1)


def codes(found: np.ndarray, spec: Spec) -> np.ndarray:
    """Letters [K F] -> codes [K, F]."""
    return found.reshape(-1, len(spec.codebooks)).T - _starts(spec)[:, None]


def text(found: np.ndarray, spec: Spec) -> str:
    """Letters as the characters of a text."""
    return "".join(map(chr, (found + _first(spec)).tolist()))


def from_text(written: str, spec: Spec) -> np.ndarray:
    """The letters of a text."""
    return np.array([ord(c) for c in written], dtype=np.int64) - _first(spec)


def vocabulary(spec: Spec) -> int:
    """Letters of a tokenizer: the codes of all of its codebooks."""
    return sum(book.size for book in spec.codebooks)


def _starts(spec: Spec) -> np.ndarray:
    return np.cumsum([0, *(book.size for book in spec.codebooks)])[:-1]


def _first(spec: Spec) -> int:
    size = vocabulary(spec)
    first = CODES if CODES + size <= SURROGATES else LARGE
    if first + size > END:
        raise UserError(f"{spec.label}: {size:,} codes are more than Unicode has letters: acoustic BPE cannot spell them")
    return first


def learn(streams: Sequence[np.ndarray], letters: int, merges: int, least: int = 2) -> Bpe:
    """BPE learnt on streams of letters [n], pairs never crossing from one to the next; fewer merges where no pair comes `least` times."""
    ids = [letter for stream in streams for letter in (*stream.tolist(), -1)]
    after, before = list(range(1, len(ids) + 1)), list(range(-1, len(ids) - 1))
    where: dict[Pair, list[int]] = defaultdict(list)
    for i, (a, b) in enumerate(itertools.pairwise(ids)):
        if a >= 0 and b >= 0:
            where[a, b].append(i)
    counts = {pair: len(places) for pair, places in where.items()}
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    tokens: dict[tuple[int, ...], int] = {(letter,): letter for letter in range(letters)}
    spelt, found = list(tokens), list[Pair]()
    while heap and len(found) < merges:
        count, pair = heapq.heappop(heap)
        if counts[pair] != -count:
            if counts[pair] > 0:
                heapq.heappush(heap, (-counts[pair], pair))
            continue
        if -count < least:
            break
        word = spelt[pair[0]] + spelt[pair[1]]
        token = tokens.setdefault(word, len(spelt))
        if token == len(spelt):
            spelt.append(word)
        found.append(pair)
        changed: set[Pair] = set()
        for i in sorted(where.pop(pair)):
            j = after[i]
            if ids[i] != pair[0] or ids[j] != pair[1]:
                continue  # an earlier merge, or the one to the left of it, took it
            ids[i], ids[j], after[i] = token, -2, after[j]
            before[after[i]] = i  # every stream ends with -1
            left, right = before[i], after[i]
            for one, two, gone in ((left, i, (ids[left], pair[0])), (i, right, (pair[1], ids[right]))):
                if one >= 0 and ids[one] >= 0 and ids[two] >= 0:
                    new = (ids[one], ids[two])
                    counts[gone] = counts.get(gone, 0) - 1
                    counts[new] = counts.get(new, 0) + 1
                    where[new].append(one)
                    changed.add(new)
        for new in changed:
            if counts[new] > 0:
                heapq.heappush(heap, (-counts[new], new))
    return Bpe(letters, tuple(found))
