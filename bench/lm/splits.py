"""Which clips a language model learns from, which stop its learning, and which it is tested on: no speaker and no text is in two parts.

Where the manifest has a `split`, its "train" is learned from, "dev", "valid" or "validation" stop the learning, and the rest is the test;
a speaker or a text in two of them is an error. Without "dev", it is taken out of "train". Without a split, speakers and texts are each
dealt out by the hash of their names; a clip whose speaker and text went to different parts is in none. A clip without a speaker is a
speaker of its own, and one without a text goes where its speaker went.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from bench.api import Clip, UserError
from bench.tokens.alignment import words

TRAIN, DEV, TEST = "train", "dev", "test"
DEVS = ("dev", "valid", "validation")
SHARES = {TEST: 0.3, DEV: 0.2}  # of the speakers, and of the texts that several of them say


@dataclass(frozen=True)
class Split:
    """The clips of each part; where there are none to learn from, `about` says why."""

    train: tuple[Clip, ...]
    dev: tuple[Clip, ...]
    test: tuple[Clip, ...]
    about: str

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All that are in a part."""
        return self.train + self.dev + self.test


def split(clips: Sequence[Clip]) -> Split:
    """Clips in three parts. UserError where the manifest's own parts share a speaker or a text."""
    told: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.split:
            told[TRAIN if clip.split == TRAIN else DEV if clip.split in DEVS else TEST].append(clip)
    if told[TRAIN] and told[TEST]:
        _refuse(told)
        if told[DEV]:
            return _of(told, clips, "split by the manifest")
        inner = _deal(told[TRAIN], {DEV: SHARES[DEV]})
        return _of({**inner, TEST: told[TEST]}, clips, "split by the manifest, dev taken out of train")
    return _of(_deal(clips, SHARES), clips, "split by speaker and text")


def _speaker(clip: Clip) -> str:
    return clip.speaker or f"\0{clip.id}"


def _text(clip: Clip) -> str:
    return words(clip.text) or f"\0{clip.id}"


def _refuse(told: Mapping[str, Sequence[Clip]]) -> None:
    for one, other in combinations(told, 2):
        for what, of in (("speaker", lambda clip: clip.speaker), ("text", lambda clip: words(clip.text))):
            names = [{of(clip) for clip in told[part]} - {""} for part in (one, other)]
            if both := names[0] & names[1]:
                cure = "give each speaker and each text one split, or leave split out"
                raise UserError(f"{what} {sorted(both)[0]!r} is in the splits {one} and {other} ({len(both)} such {what}s): {cure}")


def _deal(clips: Sequence[Clip], shares: Mapping[str, float]) -> dict[str, list[Clip]]:
    """Speakers into parts; a text goes where all its speakers are, or by its own hash."""
    of_speaker = _dealt(map(_speaker, clips), shares)
    homes: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        homes[_text(clip)].add(of_speaker[_speaker(clip)])
    of_text = _dealt((text for text, parts in homes.items() if len(parts) > 1), shares)
    of_text |= {text: next(iter(parts)) for text, parts in homes.items() if len(parts) == 1}
    dealt: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if of_speaker[_speaker(clip)] == of_text[_text(clip)]:
            dealt[of_speaker[_speaker(clip)]].append(clip)
    return dealt


def _dealt(names: Iterable[str], shares: Mapping[str, float]) -> dict[str, str]:
    """Each name -> its part: at least one name for each part, the rest for train."""
    order = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).digest())
    parts: dict[str, str] = dict.fromkeys(order, TRAIN)
    place = 0
    for part, share in shares.items():
        count = max(1, round(share * len(order)))
        parts |= dict.fromkeys(order[place : place + count], part)
        place += count
    return parts


def _of(dealt: Mapping[str, Sequence[Clip]], clips: Sequence[Clip], how: str) -> Split:
    parts = {part: tuple(dealt.get(part, ())) for part in (TRAIN, DEV, TEST)}
    if not all(parts.values()):
        return Split((), (), (), "needs speech of three speakers with three texts, so that each part has its own")
    left = len(clips) - sum(map(len, parts.values()))
    counts = ", ".join(f"{_count(part, _speaker)} speakers and {_count(part, _text)} texts in {name}" for name, part in parts.items())
    out = f"; {left} clips left out, their speaker and text being in different parts" if left else ""
    return Split(parts[TRAIN], parts[DEV], parts[TEST], f"{how}: {counts}{out}")


def _count(clips: Sequence[Clip], of: Callable[[Clip], str]) -> int:
    return len({of(clip) for clip in clips})
