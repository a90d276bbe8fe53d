"""Data that was opened before: its clips, and the sha256 of files, so that audio that has not changed is not read again.

A file of the user's cache folder for each data set that is worth it, replaced whole. It is believed only as far as it was made by this
code and its own sha256 is right. A file of audio has not changed if its size and its time of change have not; one that changed within
two seconds before its hash was noted may have changed again within the same tick of the file system's clock, and is read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path

from bench.api import UserError
from bench.data.clips import Clips
from bench.data.folders import content_of
from bench.data.on_disk import OnDisk
from bench.weights.download import cache_folder

FILES, BYTES = 200, 2**26  # data of fewer files, and fewer bytes that were hashed, are opened at once anyway
TICK = 2 * 10**9  # ns
BLOCK = 2**20  # bytes
CODE = (  # all that opens data
    *("known", "clips", "on_disk", "manifests", "manifest_clips", "manifest_lines", "folders", "signatures", "unicode_forms"),
    *("own_data", "kaldi", "tar_shards", "parquet_tables", "column_names"),
    *("public/clips", "public/layouts", "public/places", "public/records", "public/sets"),
)
NEVER = (-1, -1)  # size and time of change of a file that was not hashed here


@dataclass(frozen=True)
class Opened:
    """All clips of a data set, the sha256 of what they are, and what is to be said of the rest."""

    clips: Clips
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """What lies in the cache folder of one data set."""

    opened: Opened
    state: str  # of everything that it was made of
    noted: int  # ns, when that was looked at
    sizes: Sequence[int]  # of each clip's file its size and its time of change, one after the other


class Hashes:
    """sha256 of files: noted ones of those that have not changed, others read."""

    def __init__(self, known: Known | None = None):
        self._before = dict(_noted(known)) if known else {}
        self.facts: dict[str, tuple[int, int]] = {}  # path -> size and time of change of all that were asked for
        self.read = 0  # bytes

    def of(self, path: Path, span: tuple[int, int] | None = None) -> str:
        """Of a file, or of a stretch of it (`Clip.span`). UserError where it cannot be read."""
        try:
            facts = path.stat()
            sha256, *noted = self._before.get(_named(path, span), ("", *NEVER))
            self.facts[str(path)] = facts.st_size, facts.st_mtime_ns
            if noted == [facts.st_size, facts.st_mtime_ns]:
                return sha256
            self.read += span[1] if span else facts.st_size
            if span:
                return hashlib.sha256(content_of(path, span)).hexdigest()
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error


def _noted(known: Known) -> Iterator[tuple[str, tuple[str, int, int]]]:
    for i, clip in enumerate(known.opened.clips):
        size, changed = known.sizes[2 * i : 2 * i + 2]
        if 0 <= changed < known.noted - TICK:
            yield _named(clip.path, clip.span), (clip.sha256, size, changed)


def _named(path: Path, span: tuple[int, int] | None) -> str:
    return str(path) if span is None else f"{path} {span[0]} {span[1]}"


class State:
    """What a data set is made of: texts, and files by size and time of change."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.newest = 0  # time of change, ns

    def text(self, text: bytes) -> None:
        """A part that is no file."""
        self._digest.update(b"%d " % len(text) + text)

    def file(self, path: str) -> None:
        """A file, which may be gone."""
        try:
            facts = os.stat(path)
        except OSError:
            return self.text(b"gone")
        self.text(b"%d %d" % (facts.st_size, facts.st_mtime_ns))
        self.newest = max(self.newest, facts.st_mtime_ns)

    @property
    def sha256(self) -> str:
        """Of all of it."""
        return self._digest.hexdigest()


def opened(
    source: Path, state: Callable[[Clips], State], read: Callable[[Hashes], Opened], verify: bool = False, folder: Path | None = None
) -> Opened:
    """A data set, as it was when it was opened last if nothing has changed since.

    `source`: what it is known by; `folder`: what its files lie below, unless that is the source, or the folder that the source is in.
    `state(clips)`: what it is made of now, where those are its clips; `read(hashes)`: what it is, without a look at what is known.
    `verify`: every file is read, whatever is noted.
    """
    place = cache_folder() / "known" / hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:24]
    home = folder or (source if source.is_dir() else source.parent)
    known = None if verify else _recalled(place, home)
    if known is not None:
        now = state(known.opened.clips)
        if now.sha256 == known.state and now.newest < known.noted - TICK:
            return known.opened
    hashes, noted = Hashes(known), time.time_ns()
    new = read(hashes)
    if len(new.clips) >= FILES or hashes.read >= BYTES or place.exists():
        sizes = array("q", (number for clip in new.clips for number in hashes.facts.get(str(clip.path), NEVER)))
        made = Known(new, state(new.clips).sha256, noted, sizes)
        if _keep(place, made) and (kept := _recalled(place, home)):
            return kept.opened  # the same clips, which take hardly any memory
    return new


def _keep(place: Path, known: Known) -> bool:
    """All of it or nothing, and nothing where the cache folder cannot be written: the next one to open the data looks for itself."""
    clips = known.opened.clips
    parts = [clips.lines[:], clips.ends.tobytes(), clips.hashes[:], array("q", known.sizes).tobytes()]
    facts = {"made_by": _made_by(), "state": known.state, "noted": known.noted, "sha256": known.opened.sha256, "notes": known.opened.notes}
    proof = hashlib.sha256(b"".join(parts)).hexdigest()
    header = json.dumps(facts | {"proof": proof, "lengths": [len(part) for part in parts]})
    new = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(b"".join([header.encode(), b"\n", *parts]))
        new.replace(place)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        return False
    return True


def _recalled(place: Path, folder: Path) -> Known | None:
    """What is kept there; None where there is nothing, or what another version or a broken disk left."""
    try:
        file = place.open("rb")
        facts, start, proof = json.loads(file.readline()), file.tell(), hashlib.sha256()
        if facts["made_by"] != _made_by():
            return None
        while block := file.read(BLOCK):
            proof.update(block)
        if facts["proof"] != proof.hexdigest():
            return None
        bounds = list(accumulate(facts["lengths"], initial=start))
        lines, ends, hashes, sizes = (OnDisk(file, a, b) for a, b in pairwise(bounds))
        clips = Clips(folder, lines, array("q", ends[:]), hashes)
        notes, noted = tuple(map(str, facts["notes"])), int(facts["noted"])
        return Known(Opened(clips, str(facts["sha256"]), notes), str(facts["state"]), noted, array("q", sizes[:]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=1)
def _made_by() -> str:
    """sha256 of the code that opens data: what another version noted may be understood otherwise."""
    return hashlib.sha256(b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in CODE)).hexdigest()
