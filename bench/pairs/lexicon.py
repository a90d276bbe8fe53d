"""The words of a closed language with their phones, and where in a reading each of them is.

lexicon.tsv, beside the file of phone times, has a line for each word: the word, what kind it is, its base form, its number ("one", "many"
or "any") and its phones, " | " between ways to say it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.api import UserError
from bench.data.alignments import SILENCE, Phone

FILE = "lexicon.tsv"
COLUMNS = ["word", "kind", "base", "number", "phones"]
ENDINGS = ("s", "z")  # of a noun in the plural, and of a verb in the singular
INFLECTED = {"noun": "many", "verb": "one", "transitive": "one"}  # the kinds that have such forms, and the number of these

Phones = tuple[str, ...]


@dataclass(frozen=True)
class Word:
    """A form of a word."""

    text: str
    kind: str
    base: str
    number: str
    said: tuple[Phones, ...]  # the ways to say it

    def stem(self, phones: Phones) -> Phones:
        """What is said of the base form, where this one is the base with an ending."""
        return phones[:-1] if INFLECTED.get(self.kind) == self.number and phones[-1] in ENDINGS else phones


@dataclass(frozen=True)
class Said:
    """A word in a reading."""

    word: Word
    phones: tuple[Phone, ...]

    @property
    def start(self) -> float:
        """In seconds."""
        return self.phones[0].start

    @property
    def end(self) -> float:
        """In seconds."""
        return self.phones[-1].end

    @property
    def names(self) -> Phones:
        """Of its phones."""
        return tuple(phone.name for phone in self.phones)

    @property
    def stem(self) -> tuple[Phone, ...]:
        """Its phones without the ending."""
        return self.phones[: len(self.word.stem(self.names))]


class Lexicon:
    """All words of a language."""

    def __init__(self, words: Sequence[Word]):
        self.words = {word.text: word for word in words}

    def said(self, text: str, phones: Sequence[Phone]) -> tuple[Said, ...]:
        """Each word of a text with its phones, silence left out; nothing where that cannot be done in exactly one way."""
        spoken = [phone for phone in phones if phone.name != SILENCE]
        ways: list[list[Said]] = [[]]
        for name in text.split():
            if name not in self.words:
                return ()
            ways = [[*way, said] for way in ways for said in self._next(self.words[name], spoken[sum(len(s.phones) for s in way) :])]
        whole = [way for way in ways if sum(len(said.phones) for said in way) == len(spoken)]
        return tuple(whole[0]) if len(whole) == 1 else ()

    @staticmethod
    def _next(word: Word, phones: Sequence[Phone]) -> list[Said]:
        found = []
        for way in word.said:
            part = tuple(phones[: len(way)])
            if tuple(phone.name for phone in part) == way:
                found.append(Said(word, part))
        return found

    @cached_property
    def _ways(self) -> frozenset[Phones]:
        return frozenset(way for word in self.words.values() for way in word.said)

    @cached_property
    def _beginnings(self) -> frozenset[Phones]:
        return frozenset(way[:n] for way in self._ways for n in range(1, len(way) + 1))

    def speakable(self, phones: Phones) -> bool:
        """Whether some words of the language, the last perhaps unfinished, are said so."""
        whole = [way for way in self._ways if len(way) < len(phones) and phones[: len(way)] == way]
        return phones in self._beginnings or any(self.speakable(phones[len(way) :]) for way in whole)


def read(path: Path) -> Lexicon:
    """The lexicon in a file. UserError with the line that is wrong."""
    try:
        lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}): correct it, or leave it out") from error
    if not lines or lines[0] != COLUMNS:
        raise UserError(f"{path}:1: the first line of a lexicon is {' '.join(COLUMNS)!r}, with tabs between")
    words = []
    for number, cells in enumerate(lines[1:], 2):
        if len(cells) != len(COLUMNS) or not all(cells):
            raise UserError(f"{path}:{number}: a line of a lexicon has {len(COLUMNS)} cells with tabs between: {' '.join(COLUMNS)}")
        text, kind, base, many, said = cells
        words.append(Word(text, kind, base, many, tuple(tuple(way.split()) for way in said.split(" | "))))
    return Lexicon(words)
