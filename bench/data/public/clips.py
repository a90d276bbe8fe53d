"""Public sets and rows of the hub -> clips, and what a fetch has to do before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.api import UserError
from bench.data import known as opened_before
from bench.data.clips import Clips
from bench.data.folders import search
from bench.data.known import Hashes, Opened, State
from bench.data.manifest_clips import Entry, clips
from bench.data.own_data import opened_of
from bench.data.public import hub, places
from bench.data.public.places import Named, Place


def names() -> list[str]:
    """The public sets, part by part."""
    return places.names()


def set_names() -> list[str]:
    """The public sets, without their parts."""
    return places.set_names()


def known(name: str) -> bool:
    """Whether a name is that of a public set, or of rows of the hub."""
    return name.startswith(hub.SCHEME) or places.named(name) is not None


def here(name: str) -> bool:
    """Whether it is on this machine."""
    rows, wanted = _rows(name), places.named(name)
    if wanted and places.place(wanted):
        return True
    return rows is not None and hub.kept(rows) is not None


def fetch(name: str) -> None:
    """Makes sure that a set is on this machine. UserError."""
    wanted = places.named(name)
    if wanted and (wanted.part.files or places.place(wanted)):
        places.fetch(wanted)
    elif rows := _rows(name):
        hub.fetch(rows)


def opened(name: str, verify: bool) -> tuple[str, Opened]:
    """The name and the clips of a set that is on this machine. UserError where it is not."""
    wanted, rows = places.named(name), _rows(name)
    label = wanted.label if wanted else name
    if wanted and (place := places.place(wanted)):
        return label, _of_copy(wanted, place, verify)
    if rows and (lines := hub.kept(rows)):
        home, said = hub.folder(rows), _said(wanted)
        found = list(clips((Entry(where, facts | said) for where, facts in lines), home, Hashes().of, there=False, verify=verify))
        return label, opened_of(label, found, home, _short(wanted, len(found), home))
    raise UserError(f"{label} is not on this machine: bench data fetch '{label}', or name a folder that has a copy with --data-root DIR")


def copy_at(path: Path, name: str, verify: bool) -> tuple[str, Opened] | None:
    """The set of that name, if a path is a copy of it: `--data librispeech/test-clean` beside a folder that is called so."""
    wanted = places.named(name)
    home = next(places.copies(wanted, path), None) if wanted and path.is_dir() else None
    return (wanted.label, _of_copy(wanted, Place(home, {}), verify)) if wanted and home else None


def _of_copy(wanted: Named, place: Place, verify: bool) -> Opened:
    def state(_: Clips) -> State:
        made_of = State()
        made_of.text(repr(sorted(place.sums.items())).encode())
        for file in sorted(search(place.home).files):
            made_of.text(os.fsencode(file))
            made_of.file(file)
        return made_of

    def read(hashes: Hashes) -> Opened:
        fields = _fields(wanted, place)
        found = list(clips(_entries(wanted, place, fields), place.home, hashes.of, not place.sums, verify))
        return opened_of(wanted.label, found, place.home, _short(wanted, len(found), place.home))

    return opened_before.opened(place.home / f".{wanted.label.replace('/', '-')}", state, read, verify, place.home)


def _fields(wanted: Named, place: Place) -> list[Mapping[str, str]]:
    """What the reader finds in a copy, without the clips whose files it lacks. UserError where it lacks more."""
    try:
        found = list(wanted.whole.read(place.home, wanted.part.name))
    except (OSError, ValueError, KeyError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        cure = f"delete {place.home} and fetch it again" if place.sums else "get it again, or name another folder with --data-root"
        raise UserError(f"{place.home} is no whole copy of {wanted.label} ({why}): {cure}") from error
    return [line for line in found if line["path"] in place.sums or (place.home / line["path"]).is_file()]


def _entries(wanted: Named, place: Place, fields: Sequence[Mapping[str, str]]) -> Iterator[Entry]:
    for number, line in enumerate(fields, 1):
        sha256 = {"sha256": place.sums[line["path"]]} if line["path"] in place.sums else {}
        yield Entry(f"{place.home}, clip {number}", {"domain": wanted.whole.domain, **line, **sha256})


def _short(wanted: Named | None, count: int, home: Path) -> list[str]:
    """A note where a copy has not as many clips as the set."""
    whole = wanted.part.clips if wanted else None
    return [f"{home} has {count} of the {whole} clips of {wanted.label}"] if wanted and whole and count != whole else []


def _said(wanted: Named | None) -> dict[str, object]:
    """What the rows of the hub do not say of themselves."""
    language = (wanted.whole.languages or {}).get(wanted.part.name) if wanted else None
    return {"language": language} if language else {}


def _rows(name: str) -> hub.Rows | None:
    wanted = places.named(name)
    words = wanted.part.hub if wanted else name.removeprefix(hub.SCHEME) if name.startswith(hub.SCHEME) else ""
    return hub.rows_of(words) if words else None
