"""The shape that a run.json must have before anything in it is used: a submission may hold anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from bench.api import UserError


def _text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _codebook(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not _count(value[0]) or value[0] < 1:
        return False
    return value[1] is None or isinstance(value[1], int | float) and value[1] > 0


def _side(value: object) -> bool:
    """Size, rate (0: once an utterance) and, of a product code, its steps."""
    if not isinstance(value, list) or len(value) not in (2, 3) or not _codebook([value[0], value[1] or 1]):
        return False
    return len(value) == 2 or _all(_count)(value[2])


def _all(test: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and len(value) > 0 and all(map(test, value))


def _fits(shape: Mapping[str, Callable[[object], bool]]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(key in value and test(value[key]) for key, test in shape.items())


def _names(value: object) -> bool:
    return value == [] or _all(_text)(value)


TOKENIZER = {
    **{"name": _text, "variant": _text, "weights": _text, "codebooks": _all(_codebook)},
    **{"sample_rate": lambda value: value is None or _count(value), "decodes": lambda value: isinstance(value, bool)},
}
FEW_HAVE = {
    "side": _all(_side),
    "output_rate": _count,
    "keeps_level": lambda value: isinstance(value, bool),
}


def _tokenizer(value: object) -> bool:
    return _fits(TOKENIZER)(value) and isinstance(value, dict) and all(test(value[key]) for key, test in FEW_HAVE.items() if key in value)


IDENTITY = {
    **{"tokenizer": _tokenizer, "code": _text, "suite": _text, "version": _count, "data": _text, "seed": _count, "resampler": _text},
}


def _span(value: object) -> bool:
    """Two bounds, the lower one first; null is none."""
    if not isinstance(value, list) or len(value) != 2 or not all(bound is None or isinstance(bound, int | float) for bound in value):
        return False
    low, high = (side if bound is None else bound for bound, side in zip(value, (-math.inf, math.inf), strict=True))
    return low < high


METRIC = {
    **{"name": _text, "unit": _text, "better": lambda value: value in ("higher", "lower", "zero", "")},
    **{"tolerance": lambda value: isinstance(value, int | float), "per": lambda value: value in ("clip", "corpus", "codebook")},
    "span": _span,
}
RECORD = {"identity": _fits(IDENTITY), "metrics": _all(_fits(METRIC)), "data_name": _text, "clips": _count}
HERE = {"hours": lambda value: isinstance(value, int | float), "published": _text}
CREDIT = {"author": _text, "source": _text, "licence": _text, "recomputed": lambda value: isinstance(value, bool)}
PERHAPS = {
    "submission": _fits(CREDIT),
    "source": _text,
    "licence": _text,
    "trained_here": _fits(HERE),
    "commit": _text,
    "started": _text,
    "headline": _names,
    "overview": _names,
}


def refuse_misshapen(record: Mapping[str, object], where: object) -> None:
    """UserError with the first part of a record that is not what bench run writes."""
    wrong = [key for key, test in RECORD.items() if not test(record.get(key))]
    wrong += [key for key, test in PERHAPS.items() if key in record and not test(record[key])]
    if wrong:
        raise UserError(f"{where}/run.json: {wrong[0]} is not what bench run writes: make the run again with bench run --fresh")
