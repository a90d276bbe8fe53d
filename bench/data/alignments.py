"""When each phone of a clip is spoken: from a file that the manifest's field `alignment` names. Times are in seconds.

.TextGrid   Praat's, long or short form: the interval tier called "phones", or the only one
.ctm        a line is "CLIP CHANNEL START DURATION PHONE"; one file may hold many clips, known by their id or their file's name
.item       ZeroSpeech's, of columns #file onset offset #phone prev-phone next-phone speaker: items of an ABX test, known by the file's name

Silence has one name, SILENCE. Stress ("AA1") and Kaldi's place in a word ("AA_B") are no part of a phone's name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from bench.api import Clip, UserError
from bench.data.textgrids import phone_tier

SILENCE = "pau"
SILENCES = frozenset({"", "pau", "sil", "sp", "spn", "h#", "<eps>", "<sil>", "#", "brth", "ssil", "_"})
SUFFIXES = (".textgrid", ".ctm", ".item")
OVERLAP = 0.002  # s by which a phone may begin before the last one ends: times are rounded
Found = TypeVar("Found")
ITEM_COLUMNS = ("#file", "onset", "offset", "#phone", "prev-phone", "next-phone", "speaker")


@dataclass(frozen=True)
class Phone:
    """One phone, from `start` to `end`."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Item:
    """A phone in its context, for ABX: `start` to `end` is what is compared, as a rule the phone with both of its neighbours."""

    name: str
    before: str
    after: str
    start: float
    end: float
    speaker: str = ""  # of a file of items, which says so; a manifest's word counts before it


@dataclass(frozen=True)
class Alignment:
    """Of one clip. A file of items says nothing of the phones between them: then there are none."""

    phones: tuple[Phone, ...]
    items: tuple[Item, ...]


def read(clip: Clip) -> Alignment | None:
    """The alignment of a clip; None where its manifest names none. Raises UserError with the file, and the line, that is wrong."""
    path = clip.alignment
    if path is None:
        return None
    if path.suffix.lower() == ".item":
        return Alignment((), _of(clip, _items(path)))
    if path.suffix.lower() == ".ctm":
        phones = _of(clip, _ctm(path))
    else:
        phones = tuple(Phone(spelled(text), start, end) for start, end, text in phone_tier(path))
    for a, b in pairwise(phones):
        if b.start < a.end - OVERLAP:
            raise UserError(f"{path}: {a.name!r} of {clip.id} ends at {a.end:g} s, after {b.name!r} begins ({b.start:g} s): phones overlap")
    return Alignment(phones, triphones(phones))


def triphones(phones: Sequence[Phone]) -> tuple[Item, ...]:
    """Every phone between two others, none of the three silence."""
    found = zip(phones, phones[1:], phones[2:], strict=False)
    return tuple(
        Item(phone.name, before.name, after.name, before.start, after.end)
        for before, phone, after in found
        if SILENCE not in (before.name, phone.name, after.name) and after.start - before.end <= phone.end - phone.start + 2 * OVERLAP
    )


def fingerprint(clips: Sequence[Clip]) -> str:
    """sha256 over what the alignment files of clips hold; "" where no clip has one."""
    files = [(clip.id, clip.alignment) for clip in clips if clip.alignment is not None]
    return hashlib.sha256("".join(f"{name} {_sha256(path)}\n" for name, path in files).encode()).hexdigest() if files else ""


def spelled(text: str) -> str:
    """A phone's name as it is counted."""
    text = text.strip()
    if text.lower() in SILENCES:
        return SILENCE
    text = re.sub("_[BIES]$", "", text)
    return text[:-1] if re.fullmatch("[A-Z]{2}[0-2]", text) else text


def forget() -> None:
    """Files that were read are read again."""
    for reader in (_sha256, _ctm, _items):
        reader.cache_clear()


@lru_cache(maxsize=8)
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _of(clip: Clip, by_name: dict[str, tuple[Found, ...]]) -> tuple[Found, ...]:
    for name in (clip.id, Path(clip.id).stem, clip.path.stem):
        if name in by_name:
            return by_name[name]
    known = ", ".join(list(by_name)[:3])
    raise UserError(
        f"{clip.alignment}: no line of clip {clip.id} (it has {known}, ...): give its id or its file's name in the first column"
    )


@lru_cache(maxsize=8)
def _ctm(path: Path) -> dict[str, tuple[Phone, ...]]:
    found: dict[str, list[Phone]] = {}
    for number, cells in _cells(path):
        if cells[0].startswith(";;"):
            continue
        if len(cells) not in (5, 6):
            raise UserError(f"{path}:{number}: {len(cells)} cells: a line of a CTM file is CLIP CHANNEL START DURATION PHONE")
        start, seconds = _seconds(path, number, cells[2]), _seconds(path, number, cells[3])
        found.setdefault(cells[0], []).append(Phone(spelled(cells[4]), start, round(start + seconds, 6)))
    return {name: tuple(sorted(phones, key=lambda phone: phone.start)) for name, phones in found.items()}


@lru_cache(maxsize=8)
def _items(path: Path) -> dict[str, tuple[Item, ...]]:
    found: dict[str, list[Item]] = {}
    lines = _cells(path)
    first = next(lines, (1, []))[1]
    if tuple(first) != ITEM_COLUMNS:
        raise UserError(f"{path}:1: the first line of an .item file is {' '.join(ITEM_COLUMNS)!r}, not {' '.join(first)[:60]!r}")
    for number, cells in lines:
        if len(cells) != len(ITEM_COLUMNS):
            raise UserError(f"{path}:{number}: {len(cells)} cells, not {len(ITEM_COLUMNS)}: {' '.join(ITEM_COLUMNS)}")
        name, onset, offset, phone, before, after, speaker = cells
        start, end = _seconds(path, number, onset), _seconds(path, number, offset)
        if end <= start:
            raise UserError(f"{path}:{number}: the offset, {offset}, is not after the onset, {onset}")
        found.setdefault(name, []).append(Item(spelled(phone), spelled(before), spelled(after), start, end, speaker))
    return {name: tuple(items) for name, items in found.items()}


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}): save it as UTF-8") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.split()


def _seconds(path: Path, number: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise UserError(f"{path}:{number}: {text!r} is no time in seconds")
    return value
