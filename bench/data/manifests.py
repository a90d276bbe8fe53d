"""Data sets: a manifest of one JSON object per line, or a folder of audio files. Nothing is decoded here.

A manifest line is {"path", "id", "text", "speaker", "domain", "language", "split", "sha256", "alignment"}: `path` (required) is relative to
the manifest and stays inside its folder; `id` defaults to the path, `domain` to "speech", `language` (ISO 639, as "de") to "en"; `split`,
"train" or another, is for suites that learn; a `sha256` that is given is checked whenever the file is read; `alignment` is a file that
says when each phone is spoken (bench/data/alignments.py), found as `path` is. A field "label:NAME" is a label of the clip, which the suite
probe can ask for. In a folder, files below one called speech, music or general belong to that domain.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bench
from bench.api import DOMAINS, Clip, Data, UserError
from bench.data import fetched, own_data
from bench.data.clips import fingerprint, packed
from bench.data.known import Hashes, Opened
from bench.data.manifest_clips import domain_of, from_manifest
from bench.data.manifest_lines import entries
from bench.data.public import clips as public
from bench.data.subsets import Asked, Limit, asked, subset


def names() -> list[str]:
    """The data sets that have a name here: their audio is embedded, or fetched when it is first needed."""
    return sorted(path.parent.name for path in _embedded().glob("*/manifest.jsonl"))


def _embedded() -> Path:
    places = [Path(root) / "tasks" / "data" for root in bench.__path__]  # two where a checkout could not make links
    return next((place for place in places if place.is_dir()), places[0])


def all_names() -> list[str]:
    """Those of `names`, and of the public sets."""
    return [*names(), *public.names()]


def here(name: str) -> bool:
    """Whether the audio of a set that has a name is on this machine."""
    return public.here(name) if name not in names() else not fetched.missing(_embedded() / name / "manifest.jsonl")


def fetch(source: str) -> None:
    """Makes sure that the audio of a data set is on this machine: of one that is fetched, what is missing comes now. Else UserError."""
    name = asked(source).name
    if name in names():
        fetched.complete(_embedded() / name / "manifest.jsonl")
    elif public.known(name) and not Path(source).exists() and not Path(name).exists():
        public.fetch(name)


def facts(name: str) -> list[dict[str, object]]:
    """The manifest's lines of a set that has a name."""
    return [entry for _, entry in entries(_embedded() / name / "manifest.jsonl")]


def open_data(source: str, limit: Limit | None = None, domains: Sequence[str] = DOMAINS, seed: int = 0, verify: bool = False) -> Data:
    """A data set by name, manifest path or folder; with `limit`, some clips of those domains, as bench/data/subsets.py spreads them.

    The audio of one that is fetched may have yet to come: see `fetch`. `verify`: files are hashed again that were hashed before.
    """
    name, found = _found(source, verify)
    if limit is None:
        return Data(name, found.clips, found.sha256, found.notes)
    clips = subset(found.clips, limit, domains, seed)
    if not clips:
        raise UserError(f"{source} has no clip of {' or '.join(domains)}: give other data, or another suite")
    return Data(name, clips, fingerprint(clips), found.notes)


def told_data(source: str, limit: Limit | None = None, domains: Sequence[str] = DOMAINS, seed: int = 0, verify: bool = False) -> Data:
    """The same, its audio on this machine, and what the user should know of it on stderr."""
    fetch(source)
    data = open_data(source, limit, domains, seed, verify)
    for note in data.notes:
        print(f"note: {note}", file=sys.stderr)
    return data


def data_of(source: str, clips: int, domains: Sequence[str], seed: int) -> Data:
    """The data of a run that had so many clips: the whole set, or what a limit of that number makes of it."""
    whole = open_data(source)
    return whole if len(whole.clips) == clips else open_data(source, clips, domains, seed)


def _found(source: str, verify: bool) -> tuple[str, Opened]:
    """The name of a data set, and all of its clips."""
    wanted, path = asked(source), Path(source)
    if wanted.name != source and not path.exists() and (wanted.name in names() or public.known(wanted.name)):
        return _part(source, wanted, *_found(wanted.name, verify))
    if source in names():
        own = [f"{source} is the bundled data set; for your own of that name write ./{source}"] if path.exists() else []
        manifest = _embedded() / source / "manifest.jsonl"
        folder = fetched.folder(source) if fetched.cuts(manifest) else None
        clips = list(from_manifest(manifest, Hashes().of, folder, verify and here(source)))
        return source, own_data.opened_of(source, clips, folder or manifest.parent, own)
    if not path.exists() and public.known(source):
        return public.opened(source, verify)
    if not path.exists():
        near = difflib.get_close_matches(wanted.name, [*public.set_names(), *all_names()], n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}? Else " if near else ""
        kinds = "a public set (bench data list), hf://OWNER/NAME:SPLIT, a manifest.jsonl or a folder of audio files"
        raise UserError(f"no data called {source!r}: {hint}give one of {', '.join(names())}, {kinds}")
    if copy := public.copy_at(path, source, verify):
        return copy
    name = own_data.name_of(path)
    return f"./{name}" if name in names() else name, own_data.found(source, verify)


def _part(source: str, wanted: Asked, name: str, whole: Opened) -> tuple[str, Opened]:
    """What a name with a limit or a domain behind it means of the data set of that name."""
    clips: Sequence[Clip] = whole.clips
    if wanted.domain:
        clips = packed((replace(clip, domain=domain_of(wanted.domain, source)) for clip in clips), whole.clips.folder)
    chosen = clips if wanted.limit is None else subset(clips, wanted.limit, seed=wanted.seed)
    return f"{name}{source.removeprefix(wanted.name)}", own_data.opened_of(source, chosen, whole.clips.folder, whole.notes)


def partners(clips: Sequence[Clip]) -> dict[str, Clip]:
    """Clip id -> another clip of its domain, of another speaker where there is one: what the shuffled floor is fed instead."""
    partner: dict[str, Clip] = {}
    for domain in DOMAINS:
        ring = [clip for clip in clips if clip.domain == domain]
        for i, stranger in enumerate(_strangers(ring)):
            if stranger != i:
                partner[ring[i].id] = ring[stranger]
    return partner


def _strangers(ring: Sequence[Clip]) -> list[int]:
    """For each clip of a ring the place of the next one that is not known to be of the same speaker; the next one where all are."""
    size, found = len(ring), [0] * len(ring)
    after = 2 * size  # the place, counted on into a second round, of the first clip behind this one that has another speaker
    for i in range(2 * size - 1, -1, -1):
        clip, following = ring[i % size], ring[(i + 1) % size]
        if following.speaker != clip.speaker:
            after = i + 1
        if i < size:
            found[i] = (after if clip.speaker and after < i + size else i + 1) % size
    return found
