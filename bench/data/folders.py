"""A folder of audio files as a data set. Links are followed, each folder is read once, and what is left out is named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.api import DOMAINS, Clip, Domain, UserError
from bench.data import unicode_forms
from bench.data.signatures import APPLE_DOUBLE, HEAD, SUFFIXES, UNREADABLE, is_audio

NAMED = 5  # files that one line names


@dataclass
class Found:
    """The clips of a folder, in the order of their paths, and what is to be said of the rest."""

    clips: list[Clip]
    notes: list[str]


@dataclass
class Search:
    """What a walk meets."""

    files: list[str] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)  # and why
    links: list[Path] = field(default_factory=list)  # to folders, to be read after the folders themselves
    seen: set[tuple[int, int]] = field(default_factory=set)  # device and inode of every folder that was read


def search(folder: Path) -> Search:
    """Every file below the folder, whatever it holds."""
    found = Search()
    _walk(folder, found)
    while found.links:
        link = found.links.pop(0)
        if _identity(link) in found.seen:
            found.left_out.append((link, "a link to a folder that is read already"))
        else:
            _walk(link, found)
    return found


def from_folder(folder: Path, sha256_of: Callable[[Path], str]) -> Found:
    """Every audio file below the folder, by the end of its name or by its first bytes. `sha256_of`: UserError where one cannot be read."""
    found = search(folder)
    chosen: list[tuple[Path, str]] = []
    for path in map(Path, sorted(found.files, key=lambda name: name.split(os.sep))):
        if why := _why_not(path):
            found.left_out.append((path, why))
        elif path.suffix.lower() in SUFFIXES or is_audio(_head(path)):
            try:
                chosen.append((path, sha256_of(path)))
            except UserError as error:
                found.left_out.append((path, str(error).rpartition(": ")[2]))
    return Found(list(_clips(folder, chosen)), _notes(folder, found.left_out))


def _walk(top: Path, found: Search) -> None:
    def unreadable(error: OSError) -> None:
        found.left_out.append((Path(error.filename), error.strerror or "cannot be read"))

    for place, folders, files in os.walk(top, onerror=unreadable):
        here = Path(place)
        found.seen.add(_identity(here))
        found.links += sorted(here / name for name in folders if (here / name).is_symlink())
        found.files += [os.path.join(place, name) for name in files]


def _identity(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


def _why_not(path: Path) -> str:
    """Why what looks like audio is none of the clips; "": nothing speaks against it."""
    suffix = path.suffix.lower()
    if suffix in UNREADABLE:
        return "" if is_audio(_head(path)) else UNREADABLE[suffix]
    if suffix not in SUFFIXES:
        return ""
    if not path.exists():
        return "a link to nothing"
    if not path.is_file():
        return "no regular file"
    return "macOS keeps no sound in it" if path.name.startswith("._") and _head(path).startswith(APPLE_DOUBLE) else ""


def _head(path: Path) -> bytes:
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def _clips(folder: Path, chosen: list[tuple[Path, str]]) -> Iterator[Clip]:
    names = [path.relative_to(folder).as_posix() for path, _ in chosen]
    twins = Counter(map(unicode_forms.of_path, names))
    for name, (path, sha256) in zip(names, chosen, strict=True):
        ours = unicode_forms.of_path(name)
        if twins[ours] > 1:  # two names that differ in Unicode form only
            ours = name.encode("ascii", "backslashreplace").decode() if name != ours else ours
        yield Clip(ours, path, sha256, _domain_of(path.relative_to(folder)))


def _domain_of(path: Path) -> Domain:
    for domain in DOMAINS:
        if domain in path.parts[:-1]:
            return domain
    return "speech"


def _notes(folder: Path, left_out: list[tuple[Path, str]]) -> list[str]:
    """A line for each reason."""
    reasons: dict[str, list[str]] = {}
    for path, why in left_out:
        reasons.setdefault(why, []).append(unicode_forms.of_path(path.relative_to(folder).as_posix()))
    return [f"{folder}: left out {_listed(names)}: {why}" for why, names in reasons.items()]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(sorted(names)[:NAMED]) + more


def content_of(path: Path, span: tuple[int, int] | None = None) -> bytes:
    """What a file holds, or a stretch of it (`Clip.span`)."""
    if span is None:
        return path.read_bytes()
    with path.open("rb") as file:
        file.seek(span[0])
        return file.read(span[1])
