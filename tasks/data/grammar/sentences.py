"""The closed language of the corpus `grammar`: its words, its templates, and which of its sentences each part of the corpus holds.

A template is a line of slots and plain words. Slots with the same digit agree in number: D1 the determiner, N1 the noun, V1 a verb
without and T1 one with an object, IS1, WAS1, HAS1 and DO1 auxiliaries, S1 the reflexive pronoun (its gender is the noun's). A is an
adjective, Q one that is said of N1, R an adverb, P a preposition; V and T are verbs as they are after "do" or of several.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

NOUNS = {
    **dict.fromkeys(("cat", "dog", "bird", "cow", "lion", "rabbit", "monkey"), "itself"),
    **dict.fromkeys(("boy", "king", "baker", "sailor", "father", "brother", "uncle"), "himself"),
    **dict.fromkeys(("girl", "queen", "lady", "sister", "mother", "dancer"), "herself"),
}
ALONE = ("run", "sing", "sleep", "jump", "swim", "wait")  # verbs without an object
ON = ("see", "like", "follow", "paint", "help", "know")  # and with one
ADJECTIVES = ("big", "small", "happy", "hungry", "old", "tired", "quiet", "clever", "yellow", "red", "brown", "slow")
ADVERBS = ("today", "again", "loudly", "quietly", "here", "alone")
PREPOSITIONS = ("near", "behind", "with", "under", "beside")
DETERMINERS = (("this", "that", "every", "one", "the"), ("these", "those", "some", "two", "the"))  # of one, and of several
PLAIN = {"A": ADJECTIVES, "Q": ADJECTIVES, "R": ADVERBS, "P": PREPOSITIONS}
AUXILIARIES = {"IS": ("is", "are"), "WAS": ("was", "were"), "HAS": ("has", "have"), "DO": ("does", "do")}

TEMPLATES = (
    "D1 N1 V1",
    "D1 N1 V1 R",
    "D1 A N1 V1",
    "D1 A N1 V1 R",
    "R D1 N1 V1",
    "D1 N1 V1 P D2 N2",
    "D1 N1 V1 P D2 A N2",
    "D1 N1 P D2 N2 V1",
    "D1 N1 and D2 N2 V R",
    "D1 N1 DO1 not V",
    "D1 N1 DO1 not V P D2 N2",
    "D1 A N1 DO1 not V",
    "D1 N1 T1 D2 N2",
    "D1 N1 T1 D2 A N2",
    "D1 A N1 T1 D2 N2",
    "D1 N1 T1 D2 N2 R",
    "D1 N1 P D2 N2 T1 S1",
    "D1 N1 T1 S1",
    "D1 A N1 T1 S1",
    "D1 N1 DO1 not T S1",
    "D1 N1 DO1 not T D2 N2",
    "D1 N1 IS1 Q",
    "D1 N1 IS1 not Q",
    "D1 N1 WAS1 Q and Q",
    "D1 N1 P D2 N2 WAS1 Q",
    "R D1 N1 WAS1 Q",
    "D1 N1 HAS1 D2 N2",
    "D1 N1 HAS1 D2 A N2",
    "D1 N1 V1 and D2 N2 V2",
    "D1 N1 T1 D2 N2 and V1",
    "D1 N1 IS1 Q and D2 N2 V2",
    "D1 N1 V1 and T1 D2 N2",
)
PARTS = ("train", "dev", "test")
HELD_OUT = {"test": 25, "dev": 15}  # of a hundred pairs of a noun and what is said of it


@dataclass(frozen=True)
class Sentence:
    """Words in order, and each noun with what is said of it."""

    words: tuple[str, ...]
    pairs: frozenset[tuple[str, str]]

    @property
    def text(self) -> str:
        """As it is spoken."""
        return " ".join(self.words)


def plural(noun: str) -> str:
    """Several of it."""
    return noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else noun + "s"


def inflected(verb: str, many: bool) -> str:
    """The form that agrees with one or several."""
    return verb if many else verb + "s"


def every_word() -> list[str]:
    """Of the language, in alphabetical order."""
    forms = {form for noun in NOUNS for form in (noun, plural(noun))} | {form for verb in ALONE + ON for form in (verb, verb + "s")}
    plain = {*ADJECTIVES, *ADVERBS, *PREPOSITIONS, *DETERMINERS[0], *DETERMINERS[1], *NOUNS.values(), "themselves", "and", "not"}
    return sorted(forms | plain | {form for forms in AUXILIARIES.values() for form in forms})


def part_of(pair: tuple[str, str]) -> str:
    """The one part of the corpus whose sentences say that of that noun, whatever their template."""
    place = zlib.crc32(" ".join(pair).encode()) % 100
    return "test" if place < HELD_OUT["test"] else "dev" if place < sum(HELD_OUT.values()) else "train"


def sentences(part: str, count: int, least: int, seed: int) -> list[Sentence]:
    """At least `count` different sentences of a part, more until every word has come `least` times; those of rare words come first."""
    rng = np.random.default_rng([seed, PARTS.index(part)])
    found: dict[str, Sentence] = {}
    said = Counter(dict.fromkeys(every_word(), 0))
    while len(found) < count or min(said.values()) < least:
        drawn = [drawn_from(template, said, rng) for template in TEMPLATES]
        fitting = [one for one in drawn if {part_of(pair) for pair in one.pairs} == {part} and one.text not in found]
        if fitting:
            best = max(fitting, key=lambda one: _wanted(one.words, said, least))
            found[best.text] = best
            said.update(best.words)
    return list(found.values())


def _wanted(words: tuple[str, ...], said: Counter[str], least: int) -> float:
    """How much a sentence adds for its length: words that have yet to come `least` times, then rare ones."""
    missing = sum(said[word] < least for word in set(words))
    return missing / (len(words) + 1) + 1e-3 * float(np.mean([1 / (1 + said[word]) for word in words]))


def drawn_from(template: str, said: Counter[str], rng: np.random.Generator) -> Sentence:
    """One sentence of a template: for each slot one of the words that have come least so far."""

    def rare(words: Iterable[str]) -> str:
        return min(words, key=lambda word: said[word] + 3 * rng.random())

    many = {digit: bool(rng.integers(2)) for digit in "12"}
    nouns: dict[str, str] = {}  # those of the sentence, by their digit
    words: list[str] = []
    pairs: set[tuple[str, str]] = set()
    for slot in template.split():
        kind, digit = (slot[:-1], slot[-1]) if slot[-1].isdigit() else (slot, "")
        if kind == "D":
            words.append(rare(DETERMINERS[many[digit]]))
        elif kind == "N":
            forms = {(plural(noun) if many[digit] else noun): noun for noun in NOUNS if noun not in nouns.values()}
            words.append(rare(forms))
            nouns[digit] = forms[words[-1]]
        elif kind in ("V", "T"):
            forms = {(inflected(base, many[digit]) if digit else base): base for base in (ALONE if kind == "V" else ON)}
            words.append(rare(forms))
            pairs.add((nouns[digit or "1"], forms[words[-1]]))
        elif kind == "S":
            words.append("themselves" if many[digit] else NOUNS[nouns[digit]])
        elif kind in AUXILIARIES:
            words.append(AUXILIARIES[kind][many[digit]])
            pairs |= {(nouns[digit], "have")} if kind == "HAS" else set()
        elif kind in PLAIN:
            words.append(rare(word for word in PLAIN[kind] if word not in words))
            pairs |= {(nouns["1"], words[-1])} if kind == "Q" else set()
        else:
            words.append(kind)
    return Sentence(tuple(words), frozenset(pairs))
