"""Data sets: a manifest of one JSON object a line, or a folder of audio files. Nothing is decoded here.

A manifest line is {"path", "id", "text", "speaker", "domain", "language", "split", "sha256"}: `path` (required) is relative to the manifest
and stays inside its folder; `id` defaults to the path, `domain` to "speech", `language` (ISO 639, as "de") to "en"; `split`, "train" or
another, is for suites that learn; a `sha256` that is given is checked whenever the file is read. In a folder, files below one called
speech, music or general belong to that domain.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import bench
from bench.api import DOMAINS, Clip, Data, Domain, UserError

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif")
FIELDS = ("id", "text", "speaker", "domain", "language", "split", "sha256")


def names() -> list[str]:
    """The embedded data sets."""
    return sorted(path.parent.name for path in _embedded().glob("*/manifest.jsonl"))


def _embedded() -> Path:
    places = [Path(root) / "tasks" / "data" for root in bench.__path__]  # two where a checkout could not make links
    return next((place for place in places if place.is_dir()), places[0])


def open_data(source: str, limit: int | None = None) -> Data:
    """A data set by name, manifest path or folder; with `limit`, its first clips of each domain in turn, so that none is left out."""
    if source in names():
        name, clips = source, list(_from_manifest(_embedded() / source / "manifest.jsonl"))
    elif (path := Path(source)).is_dir():
        manifest = path / "manifest.jsonl"
        name, clips = path.resolve().name, list(_from_manifest(manifest) if manifest.is_file() else _from_folder(path))
    elif path.is_file():
        name, clips = path.resolve().parent.name, list(_from_manifest(path))
    else:
        raise UserError(f"no data called {source!r}: give one of {', '.join(names())}, a manifest.jsonl or a folder of audio files")
    if not clips:
        raise UserError(f"{source} holds no clips: a manifest needs one JSON object a line, a folder files such as .wav or .flac")
    _refuse_twins(clips, source)
    if limit is not None:
        clips = _first(clips, limit)
    return Data(name, tuple(clips), fingerprint(clips))


def fingerprint(clips: list[Clip]) -> str:
    """sha256 over every fact of every clip but where its file lies."""
    facts = [{key: value for key, value in asdict(clip).items() if key != "path"} for clip in clips]
    for fact in facts:
        for field, default in (("language", "en"), ("split", "")):
            if fact[field] == default:  # left out, so that data keeps the sha256 it had before there was this field
                del fact[field]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def partners(clips: tuple[Clip, ...]) -> dict[str, Clip]:
    """Clip id -> another clip of its domain, of another speaker where there is one: what the shuffled floor is fed instead."""
    partner: dict[str, Clip] = {}
    for domain in DOMAINS:
        ring = [clip for clip in clips if clip.domain == domain]
        for i, clip in enumerate(ring):
            others = (ring[(i + step) % len(ring)] for step in range(1, len(ring)))
            stranger = next((other for other in others if not clip.speaker or other.speaker != clip.speaker), ring[(i + 1) % len(ring)])
            if stranger is not clip:
                partner[clip.id] = stranger
    return partner


def _first(clips: list[Clip], limit: int) -> list[Clip]:
    queues = [[clip for clip in clips if clip.domain == domain] for domain in DOMAINS]
    turns = [clip for rank in range(len(clips)) for queue in queues for clip in queue[rank : rank + 1]]
    chosen = {clip.id for clip in turns[:limit]}
    return [clip for clip in clips if clip.id in chosen]


def _refuse_twins(clips: list[Clip], source: str) -> None:
    seen: set[str] = set()
    for clip in clips:
        if clip.id in seen:
            raise UserError(f"{source}: two clips have the id {clip.id!r}: ids must differ")
        seen.add(clip.id)


def _from_folder(folder: Path) -> Iterator[Clip]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            relative = path.relative_to(folder)
            yield Clip(_clean_id(relative.as_posix(), str(folder)), path, _sha256(path), _domain_of(relative))


def _domain_of(path: Path) -> Domain:
    for domain in DOMAINS:
        if domain in path.parts[:-1]:
            return domain
    return "speech"


def _from_manifest(manifest: Path) -> Iterator[Clip]:
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{manifest}: cannot be read as a manifest ({error}): one JSON object a line is wanted") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _clip(manifest, f"{manifest}:{number}", line)


def _clip(manifest: Path, where: str, line: str) -> Clip:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not JSON ({error}): one object a line is wanted") from error
    if isinstance(entry, dict):
        entry = {key: value for key, value in entry.items() if value is not None}
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str) or not entry["path"]:
        raise UserError(f'{where}: the field "path" is missing: a line is {{"path": "clip.flac", "domain": "speech", ...}}')
    for field in FIELDS:
        if not isinstance(entry.get(field, ""), str):
            raise UserError(f'{where}: "{field}" must be a string, not {json.dumps(entry[field])}')
    domain = _domain(entry.get("domain", "speech"), where)
    path = manifest.parent / _inside(entry["path"], where)
    if not path.is_file():
        raise UserError(f"{where}: {path} does not exist")
    name = _clean_id(entry.get("id") or entry["path"], where)
    speaker = " ".join(entry.get("speaker", "").split())
    language = _language(entry.get("language", "en"), where)
    sha256, text, split = entry.get("sha256", "").lower() or _sha256(path), entry.get("text", ""), entry.get("split", "").lower()
    return Clip(name, path, sha256, domain, speaker, text, language, split)


def _domain(text: str, where: str) -> Domain:
    for domain in DOMAINS:
        if domain == text:
            return domain
    raise UserError(f'{where}: "domain" is {text!r}: one of {", ".join(DOMAINS)}')


def _language(text: str, where: str) -> str:
    if not re.fullmatch("[a-z]{2,3}", text):
        raise UserError(f'{where}: "language" is {text!r}: an ISO 639 code of small letters is wanted, as en, de or yue')
    return text


def _inside(path: str, where: str) -> str:
    clean = posixpath.normpath(path.replace("\\", "/"))
    if clean.startswith(("/", "..")) or Path(path).is_absolute():
        raise UserError(f"{where}: {path!r} leads out of the manifest's folder: move the manifest, or the file below it")
    return clean


def _clean_id(name: str, where: str) -> str:
    if not name.isprintable() or name == "*":
        raise UserError(f'{where}: {name!r} cannot be a clip\'s id: printable characters, and not "*"')
    return name


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
