"""Phones of English texts by one pronunciation dictionary, CMUdict (BSD) as the package pocketsphinx carries it: what phone errors compare.

Both sides of an error rate are turned to phones in one way, without hearing anything: words that sound alike are alike, and a word that
is nearly right costs little. A word has its first pronunciation. Digits are read as English cardinals. A word that the dictionary lacks
is spelled: each letter is a sound of its own, which no phone equals, so that it costs about its length where the other side has another
word, and nothing where it has the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from bench.evaluators.package_files import PackageFile
from bench.evaluators.packages import POCKETSPHINX
from bench.evaluators.sphinx import pronunciations

DICTIONARY = PackageFile(
    POCKETSPHINX,
    "pocketsphinx",
    "5.1.1",
    "pocketsphinx/model/en-us/cmudict-en-us.dict",
    "20b5c293e1f311fb375fe067e500ec5636f4fc7af5594967263696def9b23bfe",
)
SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))


@dataclass(frozen=True)
class Phones:
    """Of a text, one symbol each with a space between, and the words that the dictionary lacks."""

    symbols: str
    spelled: tuple[str, ...]
    words: int


def phones(text: str) -> Phones:
    """text, normalised or not -> its phones; UserError where the dictionary is not here."""
    sounds = lexicon()
    found: list[str] = []
    spelled: list[str] = []
    said = list(_words(text))
    for word in said:
        if word in sounds:
            found += sounds[word][0].split()
        else:
            found += word  # small letters; phones are written in capitals
            spelled.append(word)
    return Phones(" ".join(found), tuple(spelled), len(said))


def check() -> None:
    """UserError where the dictionary is not here."""
    DICTIONARY.locate()


@lru_cache(maxsize=1)
def lexicon() -> dict[str, list[str]]:
    """Word -> its pronunciations, from the proven file of the package."""
    return pronunciations(DICTIONARY.locate())


def _words(text: str) -> Iterator[str]:
    for word in re.findall(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*", text.lower()):
        yield from cardinal(int(word)) if word.isdecimal() and len(word) <= 12 else [word]


def cardinal(number: int) -> list[str]:
    """The words of a number below 10^12: 1905 is one thousand nine hundred five."""
    if number < 20:
        return [SMALL[number]]
    if number < 100:
        return [TENS[number // 10 - 2], *([SMALL[number % 10]] if number % 10 else [])]
    size, name = next((size, name) for size, name in SCALES if number >= size)
    return [*cardinal(number // size), name, *(cardinal(number % size) if number % size else [])]
