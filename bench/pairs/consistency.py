"""The same to the end, or another: the first part of a sentence with the end of another sentence, by the same voice or by another, in the
same noise, room or tempo or in another.

Right and wrong are joined alike, always of two readings, and what is said is the same in both wherever both voices read the same texts.
`splice` says what the joins themselves give away: a reading in one piece against such a joined one, of one voice throughout. Where a
sentence is cut, a word of the same kind and number goes on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import combinations, islice, zip_longest

import numpy as np

from bench.pairs.pieces import LEVEL, MARGIN, Piece, Reading, cut
from bench.pairs.quads import Quad, drawn, rng_of
from bench.pairs.rooms import heard_in, paced, response

QUADS = 48  # of each kind
SHORTEST = 0.5  # s of a piece
TIMES = 8  # that a text is used by one voice in one kind, at most
GENDERS = {"rms": "male", "slt": "female"}  # of the speakers whose voices test; a voice's name begins with its speaker's
ALIKE = ({"slt", "slt_hts"}, {"slt_deep", "slt_hts_deep"})  # one speaker at one pitch, by two synthesisers: none is another voice
SNRS = {"background_10db": 10.0, "background_0db": 0.0}
STEADY = 6.0  # dB by which the halves of a sound may differ
T60 = (0.2, 0.8)  # s
TEMPI = (1.2, 1 / 1.2)
ROOM, SEATS = (5.0, 4.0, 3.0), 6  # m; in how many places of it a voice and an ear are
KINDS = ("voice", "gender", *SNRS, "room", "tempo", "splice")


@dataclass(frozen=True)
class Place:
    """Where a sentence may be cut."""

    reading: Reading
    time: float  # s
    next: tuple[str, str]  # the kind and the number of the word that follows

    def first(self) -> Piece:
        """All before it."""
        return cut(self.reading, 0.0, self.time)

    def last(self) -> Piece:
        """All after it."""
        return cut(self.reading, self.time, self.reading.seconds)

    @property
    def text(self) -> str:
        """The whole sentence."""
        return self.reading.clip.text

    def again(self, reading: Reading) -> Place:
        """In another reading of the text, before the same word."""
        number = [said.start for said in self.reading.said].index(self.time)
        return Place(reading, reading.said[number].start, self.next)


@dataclass(frozen=True)
class Halves:
    """Two texts, and where each is cut."""

    one: Place
    other: Place

    @property
    def item(self) -> str:
        """Its name."""
        return f"{self.one.text}/{self.other.text}"


def places(reading: Reading) -> list[Place]:
    """All of a reading."""
    times = [(said, said.start) for said in reading.said[1:]]
    return [
        Place(reading, time, (said.word.kind, said.word.number))
        for said, time in times
        if time > SHORTEST and reading.seconds - time > SHORTEST
    ]


def halves(readings: Sequence[Reading], seed: int) -> list[Halves]:
    """Any two texts of a voice, in a drawn order in which none comes again before the others came about as often."""
    by_next: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in (place for reading in readings for place in places(reading)):
        by_next[place.next].append(place)
    found = {
        f"{a.text} {a.time} {b.text} {b.time}": Halves(a, b) for same in by_next.values() for a in same for b in same if a.text != b.text
    }
    order, used = drawn(found, seed), Counter[str]()
    chosen: dict[str, Halves] = {}
    for limit in range(1, TIMES + 1):
        for key in order:
            texts = (found[key].one.text, found[key].other.text)
            if key not in chosen and all(used[text] < limit for text in texts):
                chosen[key] = found[key]
                used.update(texts)
    return list(chosen.values())


def quads(voices: Mapping[str, Sequence[Reading]], noises: Mapping[str, np.ndarray], seed: int) -> list[Quad]:
    """QUADS of every kind, as far as there are so many."""
    cuts = {voice: halves(readings, seed) for voice, readings in sorted(voices.items())}
    couples = [couple for couple in combinations(cuts, 2) if set(couple) not in ALIKE]
    genders = {voice: _gender(voice, readings) for voice, readings in voices.items()}
    mixed = [couple for couple in couples if len({genders[voice] for voice in couple} - {""}) == 2]
    steady = {name: wave for name, wave in noises.items() if _steady(wave)}
    ways: dict[str, Change] = {kind: partial(_backgrounds, steady, snr, seed) for kind, snr in SNRS.items() if len(steady) > 1}
    ways |= {"room": partial(_rooms, seed), "tempo": _tempi, "splice": _spliced}
    return [
        *_in_turn({couple: _two_voices("voice", couple, cuts, voices) for couple in couples if couple not in mixed}),
        *_in_turn({couple: _two_voices("gender", couple, cuts, voices) for couple in mixed}),
        *(
            quad
            for kind, change in ways.items()
            for quad in _in_turn({voice: _one_voice(kind, voice, cuts[voice], change) for voice in cuts})
        ),
    ]


def _in_turn(makers: Mapping[object, Iterator[Quad]]) -> Iterator[Quad]:
    """One of each at a time, QUADS in all."""
    going = list(makers.values())
    rounds = (quad for some in zip_longest(*going) for quad in some if quad is not None)
    return islice(rounds, QUADS)


def _gender(voice: str, readings: Sequence[Reading]) -> str:
    """As the manifest labels it (`label:gender`), else as is known of the bundled voices, else ""."""
    labelled = dict(readings[0].clip.labels).get("gender", "") if readings else ""
    return labelled or GENDERS.get(voice.split("_")[0], "")


def _two_voices(
    kind: str, couple: tuple[str, str], cuts: Mapping[str, Sequence[Halves]], voices: Mapping[str, Sequence[Reading]]
) -> Iterator[Quad]:
    """The same texts by both where they read the same, else each its own."""
    mine, theirs = couple
    known = {reading.clip.text: reading for reading in voices[theirs]}
    both = known.keys() & {reading.clip.text for reading in voices[mine]}
    for number, own in enumerate(cuts[mine]):
        if {own.one.text, own.other.text} <= both:
            found, item = Halves(own.one.again(known[own.one.text]), own.other.again(known[own.other.text])), own.item
        elif not both and number < len(cuts[theirs]):
            found, item = cuts[theirs][number], f"{own.item}/{cuts[theirs][number].item}"
        else:
            continue
        yield _quad(kind, item, "|".join(couple), (own.one.first(), found.one.first()), (own.other.last(), found.other.last()))


Two = tuple[Piece, Piece]
Change = Callable[[str, Halves], tuple[Two, Two]]
"""Called with a name that is of that quad alone: both first parts and both last parts, those that fit at the same place."""


def _one_voice(kind: str, voice: str, cuts: Sequence[Halves], change: Change) -> Iterator[Quad]:
    return (_quad(kind, own.item, voice, *change(f"{voice} {own.item}", own)) for own in cuts)


def _quad(kind: str, item: str, voice: str, first: Two, last: Two) -> Quad:
    return Quad(kind, item, voice, ((first[0],), (first[1],)), ((last[0],), (last[1],)))


def _backgrounds(noises: Mapping[str, np.ndarray], snr: float, seed: int, name: str, own: Halves) -> tuple[Two, Two]:
    """In two sounds; the first parts in their first half, the last parts in their second."""
    rng = rng_of(seed, name)
    one, other = (np.array_split(noises[sorted(noises)[i]], 2) for i in rng.choice(len(noises), 2, replace=False))
    first, last = ((partial(_noisy, one[i], rng.random(), snr), partial(_noisy, other[i], rng.random(), snr)) for i in (0, 1))
    return _changed(own.one.first(), first), _changed(own.other.last(), last)


def _noisy(noise: np.ndarray, place: float, snr: float, wave: np.ndarray) -> np.ndarray:
    found = np.resize(np.roll(noise, int(place * len(noise))), len(wave))
    return wave + found * (LEVEL * 10 ** (-snr / 20) / max(1e-9, float(np.sqrt(np.mean(found**2)))))


def _steady(wave: np.ndarray) -> bool:
    a, b = (float(np.mean(half**2)) for half in np.array_split(wave, 2))
    return min(a, b) > 0 and abs(10 * np.log10(a / b)) < STEADY


def _rooms(seed: int, name: str, own: Halves) -> tuple[Two, Two]:
    """In a dry and a live room, the last parts from other places of it than the first."""
    one, other = rng_of(seed, name).choice(SEATS, 2, replace=False).tolist()
    first, last = ((partial(heard_in, _seat(T60[0], seat, seed)), partial(heard_in, _seat(T60[1], seat, seed))) for seat in (one, other))
    return _changed(own.one.first(), first), _changed(own.other.last(), last)


@lru_cache(maxsize=2 * SEATS)
def _seat(t60: float, number: int, seed: int) -> np.ndarray:
    rng = rng_of(seed, f"room {t60} {number}")
    source, ear = (rng.uniform(0.5, np.array(ROOM) - 0.5) for _ in (0, 1))
    return response(ROOM, source, ear, t60)


def _tempi(name: str, own: Halves) -> tuple[Two, Two]:
    del name
    ways = (partial(_paced, TEMPI[0]), partial(_paced, TEMPI[1]))
    return _changed(own.one.first(), ways), _changed(own.other.last(), ways)


def _paced(faster: float, wave: np.ndarray) -> np.ndarray:
    """With margins as long as before."""
    length = round((len(wave) - 2 * MARGIN) / faster) + 2 * MARGIN
    found = paced(wave, faster)
    return np.pad(found, (0, max(0, length - len(found))))[:length]


def _spliced(name: str, own: Halves) -> tuple[Two, Two]:
    """Each sentence with its own end: in one piece, though cut and joined as the others are."""
    del name
    return (own.one.first(), own.other.first()), (own.one.last(), own.other.last())


def _changed(piece: Piece, ways: tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]) -> Two:
    return piece.changed(ways[0]), piece.changed(ways[1])
