"""Data sets: a manifest of one JSON object per line, or a folder of audio files. Nothing is decoded here.

A manifest line is {"path", "id", "text", "speaker", "domain", "language", "split", "sha256", "alignment"}: `path` (required) is relative to
the manifest and stays inside its folder; `id` defaults to the path, `domain` to "speech", `language` (ISO 639, as "de") to "en"; `split`,
"train" or another, is for suites that learn; a `sha256` that is given is checked whenever the file is read; `alignment` is a file that
says when each phone is spoken (bench/data/alignments.py), found as `path` is. A field "label:NAME" is a label of the clip, which the suite
probe can ask for. In a folder, files below one called speech, music or general belong to that domain.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import bench
from bench.api import DOMAINS, Clip, Data, UserError
from bench.data import fetched, known
from bench.data.clips import Clips, fingerprint, packed
from bench.data.folders import from_folder, search
from bench.data.known import Hashes, Opened, State
from bench.data.manifest_clips import from_manifest
from bench.data.manifest_lines import entries
from bench.data.subsets import Limit, subset


def names() -> list[str]:
    """The data sets that have a name here: their audio is embedded, or fetched when it is first needed."""
    return sorted(path.parent.name for path in _embedded().glob("*/manifest.jsonl"))


def _embedded() -> Path:
    places = [Path(root) / "tasks" / "data" for root in bench.__path__]  # two where a checkout could not make links
    return next((place for place in places if place.is_dir()), places[0])


def here(name: str) -> bool:
    """Whether the audio of a set that has a name is on this machine."""
    return not fetched.missing(_embedded() / name / "manifest.jsonl")


def fetch(source: str) -> None:
    """Makes sure that the audio of a data set is on this machine: of one that is fetched, what is missing comes now. Else UserError."""
    if source in names():
        fetched.complete(_embedded() / source / "manifest.jsonl")


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
    path = Path(source)
    if source in names():
        own = [f"{source} is the bundled data set; for your own of that name write ./{source}"] if path.exists() else []
        manifest = _embedded() / source / "manifest.jsonl"
        folder = fetched.folder(source) if fetched.cuts(manifest) else None
        clips = list(from_manifest(manifest, Hashes().of, folder, verify and here(source)))
        return source, _opened(source, clips, folder or manifest.parent, own)
    manifest = path / "manifest.jsonl" if path.is_dir() else path
    if not manifest.is_file() and not path.is_dir():
        raise UserError(f"no data called {source!r}: give one of {', '.join(names())}, a manifest.jsonl or a folder of audio files")
    name = manifest.resolve().parent.name
    found = _of_manifest(source, manifest, verify) if manifest.is_file() else _of_folder(source, path, verify)
    return f"./{name}" if name in names() else name, found


def _of_manifest(source: str, manifest: Path, verify: bool) -> Opened:
    def state(clips: Clips) -> State:
        made_of = State()
        made_of.text(manifest.read_bytes())
        for file in dict.fromkeys(clips.files()):
            made_of.file(file)
        return made_of

    def read(hashes: Hashes) -> Opened:
        return _opened(source, list(from_manifest(manifest, hashes.of, verify=verify)), manifest.parent)

    return known.opened(manifest, state, read, verify)


def _of_folder(source: str, folder: Path, verify: bool) -> Opened:
    def state(_: Clips) -> State:
        made_of, found = State(), search(folder)
        made_of.text(repr(found.left_out).encode())
        for file in sorted(found.files):
            made_of.text(os.fsencode(file))
            made_of.file(file)
        return made_of

    def read(hashes: Hashes) -> Opened:
        found = from_folder(folder, hashes.of)
        return _opened(source, found.clips, folder, found.notes)

    return known.opened(folder, state, read, verify)


def _opened(source: str, clips: Sequence[Clip], folder: Path, notes: Sequence[str] = ()) -> Opened:
    """UserError where there are none, or two of one id."""
    if not clips:
        left_out = "".join(f"; {note}" for note in notes)
        raise UserError(f"{source} has no clips: a manifest needs one JSON object per line, a folder files such as .wav or .flac{left_out}")
    _refuse_twins(clips, source)
    all_of_them = packed(clips, folder)
    return Opened(all_of_them, fingerprint(all_of_them), tuple(notes))


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


def _refuse_twins(clips: Sequence[Clip], source: str) -> None:
    seen: set[str] = set()
    for clip in clips:
        if clip.id in seen:
            raise UserError(f"{source}: two clips have the id {clip.id!r}: ids must differ")
        seen.add(clip.id)
