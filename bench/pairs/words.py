"""Words against what is none: of two words that share a phone, each begins as one and ends as the other (ApB and CpD; ApD and CpB).

They are cut within the shared phone, so that words and what is none have the same phones, and the same pairs of neighbours. Both ends have
as much of it, so that it is as long in words as in what is none. Each is joined of readings of two sentences, and begins where its
sentence does. Words are their base forms: an ending is cut off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.pairs.lexicon import Lexicon, Phones, Said
from bench.pairs.pieces import Piece, Reading, cut
from bench.pairs.quads import Quad, drawn, even

KIND = "word"
ITEMS = 40  # pairs of words
LONGEST = 1.2  # s before the shared phone: words late in a long sentence are not taken


@dataclass(frozen=True)
class Take:
    """A word in one reading."""

    reading: Reading
    said: Said

    @property
    def text(self) -> str:
        """What else is said there."""
        return self.reading.clip.text

    def before(self, place: int) -> tuple[Piece, ...]:
        """From the beginning of the sentence to the middle of a phone of the word."""
        phone = self.said.stem[place]
        return (cut(self.reading, 0.0, (phone.start + phone.end) / 2),)

    def after(self, place: int, kept: float) -> tuple[Piece, ...]:
        """The rest of the word, with so many seconds of that phone."""
        return (cut(self.reading, self.said.stem[place].end - kept, self.said.stem[-1].end),)

    def half(self, place: int) -> float:
        """Of a phone, in seconds."""
        return (self.said.stem[place].end - self.said.stem[place].start) / 2


Takes = Mapping[tuple[str, Phones], Sequence[Take]]
"""By base form and how it is said."""


@dataclass(frozen=True)
class Crossing:
    """Two words and the place of the phone that they share, in each."""

    one: tuple[str, Phones]
    other: tuple[str, Phones]
    places: tuple[int, int]

    @property
    def item(self) -> str:
        """Its name."""
        return f"{self.one[0]}+{self.other[0]}@{self.one[1][self.places[0]]}"


def takes(readings: Sequence[Reading]) -> Takes:
    """Of one voice."""
    found: dict[tuple[str, Phones], list[Take]] = defaultdict(list)
    for reading in readings:
        for said in reading.said:
            stem = said.stem
            if len(stem) > 2 and stem[0].start < LONGEST:
                found[said.word.base, tuple(phone.name for phone in stem)].append(Take(reading, said))
    return found


def crossings(known: Takes, lexicon: Lexicon) -> Iterator[Crossing]:
    """All that make no word of the language, whatever word may follow."""
    words = sorted(key for key, found in known.items() if len({take.text for take in found}) > 1)
    for n, (base, a) in enumerate(words):
        for other, b in words[n + 1 :]:
            for i in range(1, len(a) - 1):
                for j in range(1, len(b) - 1):
                    crossed = (a[: i + 1] + b[j + 1 :], b[: j + 1] + a[i + 1 :])
                    if a[i] == b[j] and base != other and not any(map(lexicon.speakable, crossed)):
                        yield Crossing((base, a), (other, b), (i, j))


def quads(voices: Mapping[str, Sequence[Reading]], lexicon: Lexicon, seed: int) -> list[Quad]:
    """ITEMS pairs of words, as far as there are so many, by every voice that has readings enough of both."""
    known = {voice: takes(readings) for voice, readings in voices.items()}
    possible: dict[str, dict[str, Crossing]] = defaultdict(dict)
    for voice, own in known.items():
        for crossing in crossings(own, lexicon):
            possible[crossing.item].setdefault(voice, crossing)
    order = sorted(drawn(possible, seed), key=lambda item: -len(possible[item]))
    parts: dict[tuple[str, ...], str] = {}  # of each pair of words, one place to cross them
    for item in order:
        parts.setdefault(tuple(item.split("@")[0].split("+")), item)
    items = [parts[key] for key in even(list(parts), ITEMS)]
    found = (_quad(voice, crossing, known[voice], seed) for item in items for voice, crossing in possible[item].items())
    return [quad for quad in found if quad]


def _quad(voice: str, crossing: Crossing, known: Takes, seed: int) -> Quad | None:
    """With the takes that are first in a drawn order, all joins between different sentences."""
    one, other = (known[word] for word in (crossing.one, crossing.other))
    (i, j), ids = crossing.places, {take.reading.clip.id: take for take in (*one, *other)}
    order = {name: place for place, name in enumerate(drawn(ids, seed))}
    one, other = (sorted(found, key=lambda take: order[take.reading.clip.id]) for found in (one, other))
    for a in one:
        for b in one:
            for c in other:
                for d in other:
                    if not {a.text, c.text} & {b.text, d.text}:
                        kept = min(b.half(i), d.half(j))
                        return Quad(KIND, crossing.item, voice, (a.before(i), c.before(j)), (b.after(i, kept), d.after(j, kept)))
    return None
