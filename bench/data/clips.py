"""The clips of a data set in one block of bytes, however many there are: a clip is made when it is looked at.

A clip takes about 100 bytes beside its text, its id and its path; as objects all of them would take ten times as much.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import overload

from bench.api import DOMAINS, Clip
from bench.data.on_disk import OnDisk

HASH = 32  # bytes of a sha256
USUAL = ["", 0, "", "", "en", "", "", [], []]  # of the path (as the id), the domain and what follows it: not written where it ends a line


class Clips(Sequence[Clip]):
    """Clips whose files lie below one folder, all or, by their places, some of those that were packed."""

    def __init__(self, folder: Path, lines: bytes | OnDisk, ends: array[int], hashes: bytes | OnDisk, chosen: Sequence[int] | None = None):
        """`lines`: a JSON array for each clip, `ends`: where each ends, `hashes`: 32 bytes for each."""
        self.folder, self.lines, self.ends, self.hashes = folder, lines, ends, hashes
        self._chosen = range(len(ends)) if chosen is None else chosen

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Clip: ...

    @overload
    def __getitem__(self, index: slice) -> Clips: ...

    def __getitem__(self, index: int | slice) -> Clip | Clips:
        if isinstance(index, slice):
            return self._some(self._chosen[index])
        return self._clip(self._chosen[index])

    def __iter__(self) -> Iterator[Clip]:
        return map(self._clip, self._chosen)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash((len(self), self.hashes[:HASH]))

    def __repr__(self) -> str:
        return f"Clips({len(self)} below {self.folder})"

    def select(self, places: Iterable[int]) -> Clips:
        """Those at some places, counted from 0, in that order."""
        return self._some(array("q", (self._chosen[place] for place in places)))

    def below(self, folder: Path) -> Clips:
        """The same, their files below that folder."""
        return Clips(folder, self.lines, self.ends, self.hashes, self._chosen)

    def files(self) -> Iterator[str]:
        """The path of every clip's audio, and those of alignments, in order."""
        home = os.path.join(self.folder, "")
        for line in map(self._line, self._chosen):
            yield home + (line[1] if len(line) > 1 and line[1] else line[0])
            if len(line) > 7 and line[7]:
                yield home + line[7]

    def domains(self) -> Counter[str]:
        """How many clips each domain has."""
        return self._domains.copy()

    @cached_property
    def _domains(self) -> Counter[str]:
        return Counter(DOMAINS[_full(self._line(i))[2]] for i in self._chosen)

    def _some(self, chosen: Sequence[int]) -> Clips:
        return Clips(self.folder, self.lines, self.ends, self.hashes, chosen)

    def _line(self, i: int) -> list:
        return json.loads(self.lines[self.ends[i - 1] if i else 0 : self.ends[i]].decode("utf-8", "surrogatepass"))

    def _clip(self, i: int) -> Clip:
        name, path, domain, speaker, text, language, split, alignment, labels, span = _full(self._line(i))
        sha256 = self.hashes[HASH * i : HASH * (i + 1)].hex()
        beside = self.folder / alignment if alignment else None
        place = self.folder / (path or name)
        more = tuple(map(tuple, labels)), tuple(span) or None
        return Clip(name, place, sha256, DOMAINS[domain], speaker, text, language, split, beside, *more)


def _full(line: list) -> list:
    return line + USUAL[len(line) - 1 :]


def packed(clips: Iterable[Clip], folder: Path) -> Clips:
    """Clips whose files lie below the folder."""
    lines, ends, hashes = bytearray(), array("q"), bytearray()
    for clip in clips:
        path = clip.path.relative_to(folder).as_posix()
        beside = clip.alignment.relative_to(folder).as_posix() if clip.alignment else ""
        own = [clip.speaker, clip.text, clip.language, clip.split, beside, list(clip.labels), list(clip.span or ())]
        facts = ["" if path == clip.id else path, DOMAINS.index(clip.domain), *own]
        while facts and facts[-1] == USUAL[len(facts) - 1]:
            facts.pop()
        lines += json.dumps([clip.id, *facts], ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        ends.append(len(lines))
        hashes += bytes.fromhex(clip.sha256)
    return Clips(folder, bytes(lines), ends, bytes(hashes))


def select(clips: Sequence[Clip], places: Iterable[int]) -> Sequence[Clip]:
    """The clips at some places, in the form that all have."""
    return clips.select(places) if isinstance(clips, Clips) else tuple(clips[place] for place in places)


def domains(clips: Sequence[Clip]) -> Counter[str]:
    """How many clips each domain has."""
    return clips.domains() if isinstance(clips, Clips) else Counter(clip.domain for clip in clips)


def absolute(clips: Sequence[Clip]) -> Sequence[Clip]:
    """The same, wherever the working folder is later."""
    if isinstance(clips, Clips):
        return clips.below(clips.folder.absolute())
    return tuple(replace(clip, path=clip.path.absolute()) for clip in clips)


def fingerprint(clips: Iterable[Clip]) -> str:
    """sha256 over every fact of every clip but where its file lies, and the times of phones, which one suite alone reads."""
    digest, before = hashlib.sha256(b"["), b""
    encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
    for clip in clips:
        facts: dict[str, object] = {"id": clip.id, "sha256": clip.sha256, "domain": clip.domain, "speaker": clip.speaker, "text": clip.text}
        for name, usual in (("language", "en"), ("split", ""), ("labels", ())):
            if (given := getattr(clip, name)) != usual:  # else left out, so that data keeps the sha256 it had before there was this field
                facts[name] = given
        digest.update(before + encode(facts).encode())
        before = b","
    digest.update(b"]")
    return digest.hexdigest()
