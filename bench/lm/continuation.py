"""Which second half belongs to a first half: the true one, or that of another clip (`next_acc`).

The true one wins where the first half makes it likelier by more: log p(half | first half) - log p(half) is compared, as without the second
term halves that are likely anywhere would win (arxiv.org/abs/2601.06329). From all halves the first GAP seconds are cut: what joins on in
phase or pitch is not to be heard.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.api import Clip
from bench.lm.coding import Coder, Training
from bench.lm.streams import Stream
from bench.tokens.alignment import words

VOICE, TEXT = "voice", "text"
KINDS = (VOICE, TEXT)
GAP, LEAST, FIRST = 0.5, 0.25, 1.0  # seconds: cut from all halves; the shortest half that is left; what `_1s` looks at
NEIGHBOURS = 2  # on each side, among the clips that differ in one thing: as many true halves as false ones, of every clip
CHUNKS = 20

Bits = Callable[[Mapping[str, Stream]], Mapping[str, np.ndarray]]
"""Streams by name -> bits [F, C] of each."""


@dataclass(frozen=True)
class Judged:
    """Of one clip as a first half: the shares of comparisons that the true half won, ties counted half, and their number."""

    whole: float
    first: float  # by the first second alone
    count: int


@dataclass(frozen=True)
class Choices:
    """What a worker process needs: the training that made the model, and by kind and clip the clips whose halves are the false ones."""

    training: Training
    shares: tuple[float, ...]  # of the zero-order model
    others: Mapping[str, Mapping[str, tuple[str, ...]]]


def distractors(clips: Sequence[Clip], kind: str) -> dict[str, tuple[str, ...]]:
    """By clip, those that say the same in another voice, or something else, to the end, in the same voice."""
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.speaker and words(clip.text):
            groups[words(clip.text) if kind == VOICE else clip.speaker].append(clip)
    differ = (lambda a, b: a.speaker != b.speaker) if kind == VOICE else (lambda a, b: _end(a) != _end(b))
    found = {}
    for group in groups.values():
        for i, clip in enumerate(group):
            places = {(i + step) % len(group) for k in range(1, NEIGHBOURS + 1) for step in (-k, k)}
            if others := tuple(group[j].id for j in sorted(places) if j != i and differ(clip, group[j])):
                found[clip.id] = others
    return found


def _end(clip: Clip) -> list[str]:
    said = words(clip.text).split()
    return said[len(said) // 2 :]


def halves(codes: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray] | None:
    """The first half of codes [F, C], and the second without its beginning; None where too little would be left."""
    middle = len(codes) // 2
    rest = codes[middle + round(GAP * rate) :]
    return (codes[:middle], rest) if middle and len(rest) >= max(1.0, LEAST * rate) else None


class Judge:
    """Compares halves by what a model pays for them."""

    def __init__(self, streams: Mapping[str, Stream], rate: float, bits: Bits):
        self.parts = {clip: parts for clip, one in streams.items() if (parts := halves(one.codes, rate))}
        self.first, self.bits = max(1, round(FIRST * rate)), bits
        self.alone: dict[str, tuple[float, float]] = {}

    def judged(self, asked: Mapping[str, Sequence[str]]) -> dict[str, Judged]:
        """By clip that is long enough, of the false halves that are."""
        pairs = [(a, b) for a, others in asked.items() if a in self.parts for b in (a, *others) if b in self.parts]
        new = dict.fromkeys(b for _, b in pairs if b not in self.alone)
        self.alone |= self._costs({b: (self.parts[b][1][:0], self.parts[b][1]) for b in new})
        after = self._costs({f"{a}\0{b}": (self.parts[a][0], self.parts[b][1]) for a, b in pairs})
        gains = {(a, b): np.subtract(self.alone[b], after[f"{a}\0{b}"]) for a, b in pairs}
        found = {}
        for a in dict.fromkeys(a for a, _ in pairs):
            margins = [gains[a, a] - gains[a, b] for one, b in pairs if one == a != b]
            if margins:
                won = np.mean([(np.sign(margin) + 1) / 2 for margin in margins], 0)
                found[a] = Judged(float(won[0]), float(won[1]), len(margins))
        return found

    def _costs(self, parts: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, tuple[float, float]]:
        """Bits of all and of the beginning of second parts, after the first ones."""
        bits = self.bits({name: Stream(np.concatenate(pair), math.nan) for name, pair in parts.items()})
        rest = {name: bits[name][len(pair[0]) :] for name, pair in parts.items()}
        return {name: (float(found.sum()), float(found[: self.first].sum())) for name, found in rest.items()}


def judge(choices: Choices, steps: Sequence[str]) -> Iterator[dict[str, dict[str, Judged]]]:
    """A task for worker processes of CHUNKS steps: by kind and clip, what became of as many of the clips."""
    training = choices.training
    coder = Coder(training)

    def bits(streams: Mapping[str, Stream]) -> Mapping[str, np.ndarray]:
        coder.training = replace(training, streams=streams)
        coder.numbers = {name: coder.vocabulary.numbers(stream) for name, stream in streams.items()}
        return coder.bits(streams, np.array(choices.shares))

    one = Judge({clip: training.streams[clip] for clip in training.test}, training.rate, bits)
    for number in range(len(steps)):
        some = training.test[number :: len(steps)]
        asked = {kind: {a: others[a] for a in some if a in others} for kind, others in choices.others.items()}
        yield {kind: one.judged(wanted) for kind, wanted in asked.items()}
