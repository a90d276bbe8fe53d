"""Praat's TextGrid files, in the long and the short form: to Praat both are the same strings, numbers and flags, one after the other.

Source: "TextGrid file formats", Praat's manual.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from bench.api import UserError

Interval = tuple[float, float, str]
Kind = TypeVar("Kind")
TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<!\S)(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)|(<\w+>)')
PHONES = re.compile(
    r"(?:.* - )?(?:phones?|segments?)", re.I
)  # of several speakers, the Montreal aligner's tiers are called "NAME - phones"


def phone_tier(path: Path) -> list[Interval]:
    """(start, end, text) of the interval tier called "phones", or of the only one. Raises UserError."""
    tiers = dict(_tiers(path))
    named = [name for name in tiers if PHONES.fullmatch(name)] or list(tiers)
    if len(named) != 1:
        raise UserError(f"{path}: which of the interval tiers {', '.join(tiers) or '(none)'} has the phones? Call it phones")
    return tiers[named[0]]


def _tiers(path: Path) -> Iterator[tuple[str, list[Interval]]]:
    """(name, intervals) of the interval tiers."""
    tokens = _Tokens(path)
    if (tokens.text(), tokens.text()) != ("ooTextFile", "TextGrid"):
        raise UserError(f'{path}: no TextGrid: it does not begin with "ooTextFile" and "TextGrid" (binary ones: save as text from Praat)')
    _ = tokens.number(), tokens.number()
    if tokens.next() != "<exists>":
        return
    for _ in range(int(tokens.number())):
        kind, name = tokens.text(), tokens.text()
        _ = tokens.number(), tokens.number()
        count = int(tokens.number())
        if kind == "IntervalTier":
            yield name, [(tokens.number(), tokens.number(), tokens.text()) for _ in range(count)]
        elif kind == "TextTier":
            for _ in range(count):
                _ = tokens.number(), tokens.text()
        else:
            raise UserError(f"{path}: a tier is an IntervalTier or a TextTier, not {kind!r}")


class _Tokens:
    """The strings, numbers and flags of a file, taken one by one."""

    def __init__(self, path: Path):
        self.path = path
        self._found = TOKEN.finditer(_decoded(path))

    def next(self) -> str | float:
        """The next one, a string as it is written, a flag with its brackets."""
        found = next(self._found, None)
        if found is None:
            raise UserError(f"{self.path}: the TextGrid ends too early")
        string, number, flag = found.groups()
        return flag or (float(number) if number else string.replace('""', '"'))

    def text(self) -> str:
        """A string."""
        return self._wanted(str)

    def number(self) -> float:
        """A number."""
        return self._wanted(float)

    def _wanted(self, kind: type[Kind]) -> Kind:
        found = self.next()
        if not isinstance(found, kind):
            raise UserError(f"{self.path}: {'a string' if kind is str else 'a number'} is wanted where the TextGrid has {found!r}")
        return found


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: neither UTF-8 nor UTF-16 (byte {error.start}): save it as UTF-8 from Praat") from error
