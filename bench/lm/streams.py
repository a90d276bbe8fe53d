"""Codes as a language model reads them: frames of columns in the layout's order, numbered; and how likely each is by itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.api import Spec
from bench.lm.layouts import order

FASTEST = 400.0  # frames a second; beyond it they are samples or bytes
BYTE = 256  # codes of a codebook that holds bytes, where its rate varies
WEIGHTS = tuple(2.0**k for k in range(-6, 15))  # of the uniform prior, in occurrences of each code


@dataclass(frozen=True)
class Stream:
    """The codes [F, C] of a clip, in the layout's order, and its seconds of real audio."""

    codes: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Alphabet:
    """What a tokenizer's columns, in the layout's order, may hold."""

    sizes: tuple[int, ...]  # of each table
    tables: tuple[int, ...]  # of each column: its table
    columns: tuple[int, ...]  # of each column: its row in codes [K, F]

    def stream(self, codes: np.ndarray, seconds: float) -> Stream:
        """Codes [K, F] as a tokenizer gives them."""
        return Stream(codes[list(self.columns)].T.copy(), seconds)


def alphabet(spec: Spec) -> Alphabet:
    """Of a tokenizer."""
    columns = order(spec)
    tables = {k: number for number, table in enumerate(spec.tables) for k in table}
    sizes = tuple(spec.codebooks[table[0]].size for table in spec.tables)
    return Alphabet(sizes, tuple(tables[k] for k in columns), tuple(columns))


def unmodelled(spec: Spec, rate: float) -> str:
    """Why a language model of codes at that measured rate, in frames a second, means nothing; "" where it means something."""
    if spec.reference:
        return "not applicable: codes are raw samples"
    if any(book.size == BYTE and math.isnan(book.rate) for book in spec.codebooks):
        return "not applicable: codes are variable-rate bytes"  # units at a varying rate, with their durations, can be modelled
    if rate > FASTEST:
        return f"not applicable: {rate:,.0f} frames per second are samples: too many for a model of this budget"
    return ""


def frame_rate(streams: Iterable[Stream]) -> float:
    """Frames per second of real audio, measured."""
    streams = list(streams)
    return sum(len(stream.codes) for stream in streams) / sum(stream.seconds for stream in streams)


class ZeroOrder:
    """p of a code by itself: how often it came, smoothed towards uniform with the weight that best predicts each from the rest."""

    def __init__(self, codes: np.ndarray, size: int):
        self.size, self.total = size, len(codes)
        self.known, self.counts = np.unique(codes, return_counts=True)
        self.weight = max(WEIGHTS, key=self._left_out) if self.total > 1 else WEIGHTS[-1]

    def _left_out(self, weight: float) -> float:
        found = (self.counts - 1 + weight) / (self.total - 1 + weight * self.size)
        return float((self.counts * np.log(found)).sum())

    def numbers(self, codes: np.ndarray) -> np.ndarray:
        """Codes -> the place of each among those known, -1 for any other."""
        if not len(self.known):
            return np.full(codes.shape, -1)
        place = np.searchsorted(self.known, codes).clip(max=len(self.known) - 1)
        return np.where(self.known[place] == codes, place, -1)

    def log_p(self, codes: np.ndarray) -> np.ndarray:
        """log p, in nats, of codes of any shape."""
        place = self.numbers(codes)
        counts = np.where(place >= 0, self.counts[place], 0) if len(self.known) else np.zeros(codes.shape)
        return np.log(counts + self.weight) - math.log(self.total + self.weight * self.size)

    def prior(self) -> np.ndarray:
        """log p of the known codes among themselves."""
        mass = self.counts + self.weight
        return np.log(mass / mass.sum()).astype(np.float32)


class Vocabulary:
    """The codes of each table that come in the streams to learn from, numbered from 1 over all tables; 0 is any other, or none."""

    def __init__(self, alphabet: Alphabet, train: Sequence[Stream]):
        self.tables = alphabet.tables
        every = np.concatenate([stream.codes for stream in train])
        mine = [[c for c, table in enumerate(self.tables) if table == number] for number in range(len(alphabet.sizes))]
        self.zero_order = [ZeroOrder(every[:, columns].ravel(), size) for columns, size in zip(mine, alphabet.sizes, strict=True)]
        self.starts = np.cumsum([1, *(len(table.known) for table in self.zero_order)])

    def numbers(self, stream: Stream) -> np.ndarray:
        """[F, C] int64."""
        found = np.zeros(stream.codes.shape, dtype=np.int64)
        for c, table in enumerate(self.tables):
            place = self.zero_order[table].numbers(stream.codes[:, c])
            found[:, c] = np.where(place >= 0, place + self.starts[table], 0)
        return found

    def log_p(self, stream: Stream) -> np.ndarray:
        """log p [F, C], in nats, of each code by itself."""
        return np.stack([self.zero_order[table].log_p(stream.codes[:, c]) for c, table in enumerate(self.tables)], 1)
