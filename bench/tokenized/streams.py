"""Codes [K, F] of one or two tokenizers -> the tokens of a layout, and back, exactly. Tokens are int32, a grid's [positions, columns]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.api import UserError
from bench.tokenized.vocabulary import Column, Vocabulary, exact_rate
from bench.tokens import bpe

Codes = Sequence[np.ndarray]
"""Of each tokenizer, [K, F]."""


def tokens(codes: Codes, how: Vocabulary, learnt: bpe.Bpe | None = None) -> np.ndarray:
    """[n] of a line, [positions, columns] of a grid. `learnt`: the byte pairs of the layout bpe."""
    if how.grid:
        return _delayed(_grid(codes, how), how)
    if how.layout == "bpe":
        assert learnt is not None
        return learnt.encode(bpe.letters(codes[0], how.specs[0])).astype(np.int32)
    if how.layout == "stages":
        first, others = how.columns[: how.first], how.columns[how.first :]
        return np.concatenate([_line(codes, first, how), [how.special(how.size)["sep"]], _line(codes, others, how)]).astype(np.int32)
    return _line(codes, how.columns, how)


def codes(found: np.ndarray, how: Vocabulary, learnt: bpe.Bpe | None = None) -> list[np.ndarray]:
    """What the tokens were made of: of each tokenizer codes [K, F] int64. UserError where they are no stream of that layout."""
    if how.grid:
        return _from_grid(_undelayed(found, how), how)
    if how.layout == "bpe":
        assert learnt is not None
        if len(found) and not 0 <= int(found.min()) <= int(found.max()) < len(learnt.spelt):
            raise UserError(f"a token is outside of the {len(learnt.spelt)} of the byte pairs")
        letters = learnt.decode(found.tolist())
        if len(letters) % len(how.specs[0].codebooks):
            raise UserError(f"{len(letters)} codes are no whole frames of {how.specs[0].label}")
        whole = bpe.codes(letters, how.specs[0])
        _refuse_strangers(whole, how)
        return [whole]
    if how.layout == "stages":
        found = found[found != how.special(how.size)["sep"]]
    return _from_line(found, how)


def _line(codes: Codes, columns: Sequence[Column], how: Vocabulary) -> np.ndarray:
    """Codes of these columns, frame by frame in the order of time."""
    parts: list[np.ndarray] = []
    begins: list[np.ndarray] = []
    rates = [exact_rate(spec) for spec in how.specs] if len(how.specs) > 1 else []
    for i, own in enumerate(codes):
        asked = [c for c in columns if c.tokenizer == i]
        frames = own[[c.codebook for c in asked]] + np.array([[c.offset] for c in asked]).reshape(-1, 1)
        parts.append(frames.T.reshape(-1))
        other = math.lcm(*(rate.numerator for rate in rates)) // rates[i].numerator * rates[i].denominator if rates else 1
        begins.append(np.repeat(np.arange(own.shape[1], dtype=np.int64) * other, len(asked)))  # in one unit of time for all
    return np.concatenate(parts)[np.argsort(np.concatenate(begins), kind="stable")].astype(np.int32)


def _from_line(found: np.ndarray, how: Vocabulary) -> list[np.ndarray]:
    parts = {(c.tokenizer, c.codebook): found[(found >= c.offset) & (found < c.offset + c.size)] - c.offset for c in how.columns}
    if sum(map(len, parts.values())) != len(found):
        raise UserError("a token is no code of any codebook: leave out special tokens other than sep")
    return [_together([parts[i, k] for k in range(len(spec.codebooks))], spec.label) for i, spec in enumerate(how.specs)]


def _together(books: Sequence[np.ndarray], label: str) -> np.ndarray:
    lengths = sorted({len(book) for book in books})
    if len(lengths) > 1:
        raise UserError(f"the codebooks of {label} have from {lengths[0]} to {lengths[-1]} codes: a frame is incomplete")
    return np.stack(books).astype(np.int64)


def _grid(codes: Codes, how: Vocabulary) -> np.ndarray:
    """[steps, columns], `none` where a tokenizer's frames end before the other's."""
    frames = how.frames_of
    steps = max(math.ceil(own.shape[1] / frames[i]) for i, own in enumerate(codes))
    table = np.tile(np.array(_nones(how), dtype=np.int32), (steps, 1))
    for c, column in enumerate(how.columns):
        own = codes[column.tokenizer][column.codebook, column.frame :: frames[column.tokenizer]]
        table[: len(own), c] = own
    return table


def _nones(how: Vocabulary) -> list[int]:
    return [how.special(column.size)["none"] for column in how.columns]


def _delayed(table: np.ndarray, how: Vocabulary) -> np.ndarray:
    out = np.tile(np.array(_nones(how), dtype=np.int32), (len(table) + _latest(how), 1))
    for c, column in enumerate(how.columns):
        out[column.delay : column.delay + len(table), c] = table[:, c]
    return out if len(table) else out[:0]


def _undelayed(found: np.ndarray, how: Vocabulary) -> np.ndarray:
    if found.ndim != 2 or found.shape[1] != how.width:
        raise UserError(f"tokens of {list(found.shape)} are no grid of {how.width} columns")
    steps = max(0, len(found) - _latest(how))
    return np.stack([found[column.delay : column.delay + steps, c] for c, column in enumerate(how.columns)], axis=1)


def _latest(how: Vocabulary) -> int:
    return max(column.delay for column in how.columns)


def _from_grid(table: np.ndarray, how: Vocabulary) -> list[np.ndarray]:
    whole = []
    for i, spec in enumerate(how.specs):
        books = []
        for k in range(len(spec.codebooks)):
            places = [c for c, column in enumerate(how.columns) if (column.tokenizer, column.codebook) == (i, k)]
            row, none = table[:, places].reshape(-1), how.special(spec.codebooks[k].size)["none"]  # frames in the order of time
            row = row[: len(row) - int(np.argmax(row[::-1] != none)) if (row != none).any() else 0]
            books.append(row.astype(np.int64))
        whole.append(_together(books, spec.label))
    for own, spec in zip(whole, how.specs, strict=True):
        sizes = np.array([[book.size] for book in spec.codebooks])
        if ((own < 0) | (own >= sizes)).any():
            raise UserError(f"a token lies outside of its codebook of {spec.label}: leave out special tokens other than none at the ends")
    return whole


def _refuse_strangers(whole: np.ndarray, how: Vocabulary) -> None:
    sizes = np.array([[book.size] for book in how.specs[0].codebooks])
    if ((whole < 0) | (whole >= sizes)).any():
        raise UserError(f"the codes of {how.specs[0].label} are not in the order of its codebooks")


def side_tokens(side: np.ndarray, tokenizer: int, how: Vocabulary) -> np.ndarray:
    """Side codes [S, N] -> [N S], those of the first chunk (or of the utterance) before."""
    offsets = [[column.offset] for column in how.side if column.tokenizer == tokenizer]
    return (side + np.array(offsets)).T.reshape(-1).astype(np.int32)


def side_codes(found: np.ndarray, tokenizer: int, how: Vocabulary) -> np.ndarray:
    """[N S] -> side codes [S, N] int64."""
    own = [column for column in how.side if column.tokenizer == tokenizer]
    if len(found) % len(own):
        raise UserError(f"{len(found)} side codes are no multiple of the {len(own)} of {how.specs[tokenizer].label}")
    whole = found.reshape(-1, len(own)).T.astype(np.int64) - np.array([[column.offset] for column in own])
    if ((whole < 0) | (whole >= np.array([[column.size] for column in own]))).any():
        raise UserError(f"a side code of {how.specs[tokenizer].label} lies outside of its codebook")
    return whole
