"""Agreement in number: "this girl | sings | again" and "these kings | sing | again" against each subject with the other's verb.

Subject, verb and what follows are of readings of different sentences. A noun and a verb that follow each other in a text to learn from, in
whatever form, are not put together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise, product

from bench.pairs.lexicon import Lexicon, Said
from bench.pairs.pieces import Piece, Reading, cut
from bench.pairs.quads import Quad, drawn, even

KIND = "syntax"
ITEMS = 25
VERBS = {"verb": ("adverb",), "transitive": ("determiner",)}  # what may follow each kind
BEFORE = ("determiner", "adjective")  # words of a subject that come before its noun


@dataclass(frozen=True)
class Part:
    """Words of one reading that follow each other."""

    reading: Reading
    said: tuple[Said, ...]

    @property
    def text(self) -> str:
        """Of the whole reading."""
        return self.reading.clip.text

    @property
    def words(self) -> str:
        """Its own."""
        return " ".join(said.word.text for said in self.said)

    def piece(self, end: float | None = None, start: float | None = None) -> Piece:
        """Its sound; from the beginning, or to the end, of the reading where that is said."""
        return cut(self.reading, self.said[0].start if start is None else start, self.said[-1].end if end is None else end)


def subject(reading: Reading) -> Part | None:
    """What a sentence begins with, up to its noun."""
    for place, said in enumerate(reading.said):
        if said.word.kind == "noun" and place:
            return Part(reading, reading.said[: place + 1])
        if said.word.kind not in BEFORE:
            return None
    return None


def tail(reading: Reading, kinds: Sequence[str]) -> Part | None:
    """The last words of a sentence: an adverb, or a determiner and what belongs to it."""
    for place in range(len(reading.said) - 1, 1, -1):
        kind = reading.said[place].word.kind
        if kind in kinds:
            return Part(reading, reading.said[place:])
        if kind not in (*BEFORE, "noun"):
            return None
    return None


def together(texts: Sequence[str], lexicon: Lexicon) -> Set[tuple[str, str]]:
    """The base forms of every two words of which one comes straight after the other in a text."""
    found = set[tuple[str, str]]()
    for text in texts:
        bases = [lexicon.words[word].base if word in lexicon.words else "" for word in text.split()]
        found |= set(pairwise(bases))
    return found


def quads(voices: Mapping[str, Sequence[Reading]], lexicon: Lexicon, trained: Sequence[str], seed: int) -> list[Quad]:
    """ITEMS of two subjects, a verb and what follows it, by every voice that has readings of all."""
    said, known = together(trained, lexicon), {voice: _sentences(readings, seed) for voice, readings in voices.items()}
    possible: dict[str, dict[str, _Sentence]] = defaultdict(dict)
    for voice, sentences in known.items():
        for one in sentences:
            if not any((noun, one.verb) in said for noun in one.nouns):
                possible[one.item].setdefault(voice, one)
    order = sorted(drawn(possible, seed), key=lambda item: -len(possible[item]))
    parts = {tuple(item.split(", ")): item for item in reversed(order)}
    items = [parts[chosen] for chosen in even([tuple(item.split(", ")) for item in order], ITEMS)]
    return [one.quad(voice) for item in items for voice, one in possible[item].items()]


@dataclass(frozen=True)
class _Sentence:
    """Two subjects, of one and of several; the two forms of a verb; what follows."""

    subjects: tuple[Part, Part]
    verbs: tuple[Part, Part]
    tail: Part

    @property
    def item(self) -> str:
        return ", ".join((self.subjects[0].words, self.subjects[1].words, self.verbs[1].words, self.tail.words))

    @property
    def nouns(self) -> tuple[str, str]:
        return self.subjects[0].said[-1].word.base, self.subjects[1].said[-1].word.base

    @property
    def verb(self) -> str:
        return self.verbs[0].said[0].word.base

    def quad(self, voice: str) -> Quad:
        one, many = ((part.piece(start=0.0),) for part in self.subjects)
        last = self.tail.piece(end=self.tail.reading.seconds)
        sings, sing = ((part.piece(), last) for part in self.verbs)
        return Quad(KIND, self.item, voice, (one, many), (sings, sing))


def _sentences(readings: Sequence[Reading], seed: int) -> list[_Sentence]:
    """All of one voice, with every join between different sentences; of several takes of a verb, the first in a drawn order."""
    by_id = {reading.clip.text: reading for reading in readings}
    readings = [by_id[text] for text in drawn(by_id, seed)]
    subjects = {number: [p for r in readings if (p := subject(r)) and p.said[-1].word.number == number] for number in ("one", "many")}
    found = []
    for kind, kinds in VERBS.items():
        forms: dict[str, dict[str, list[Part]]] = defaultdict(lambda: defaultdict(list))
        for reading in readings:
            for said in (said for said in reading.said if said.word.kind == kind):
                forms[said.word.base][said.word.number].append(Part(reading, (said,)))
        tails = [part for reading in readings if (part := tail(reading, kinds))]
        for one, many, own, last in product(subjects["one"], subjects["many"], forms.values(), tails):
            verbs = next((v for v in product(own["one"], own["many"]) if not {p.text for p in v} & {one.text, many.text, last.text}), None)
            if verbs:
                found.append(_Sentence((one, many), verbs, last))
    return found
