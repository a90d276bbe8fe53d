"""Data of the user's own -> clips, whatever lies at a path: a manifest, a folder of Kaldi's, of tables, of shards or of files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.api import Clip, UserError
from bench.data import kaldi, known, parquet_tables, tar_shards
from bench.data.clips import Clips, fingerprint, packed
from bench.data.folders import from_folder, search
from bench.data.known import Hashes, Opened, State
from bench.data.manifest_clips import clips, from_manifest
from bench.data.signatures import SUFFIXES

MANIFEST = "manifest.jsonl"


def name_of(path: Path) -> str:
    """What such data are called: as their folder, or as the table or shard that they are."""
    whole = path.resolve()
    if whole.is_file() and whole.suffix.lower() in (tar_shards.SUFFIX, parquet_tables.SUFFIX):
        return whole.stem
    return whole.parent.name if whole.is_file() else whole.name


def found(source: str, verify: bool) -> Opened:
    """The clips of a path that exists. Tables and shards in a folder count where it has no file of audio. UserError for what is wrong."""
    path = Path(source)
    if path.is_dir() and (path / MANIFEST).is_file():
        return of_manifest(source, path / MANIFEST, verify)
    if path.name == kaldi.LIST or (path / kaldi.LIST).is_file():
        return _of_kaldi(source, path if path.is_dir() else path.parent, verify)
    if path.is_file() or not _has_audio(path):
        if shards := tar_shards.shards(path):
            return _of_shards(source, shards, verify)
        if tables := parquet_tables.tables(path):
            return _of_tables(source, tables, verify)
    return _of_folder(source, path, verify) if path.is_dir() else of_manifest(source, path, verify)


def _has_audio(folder: Path) -> bool:
    """Whether a file below the folder is called as audio is: the first one answers."""
    return any(os.path.splitext(name)[1].lower() in SUFFIXES for _, _, files in os.walk(folder) for name in files)


def opened_of(source: str, all_of_them: Iterable[Clip], folder: Path, notes: Sequence[str] = ()) -> Opened:
    """Clips below a folder as a data set; few are held at once. UserError where there are none, or two of one id."""
    kept = packed(_each_once(all_of_them, source), folder)
    if not kept:
        left_out = "".join(f"; {note}" for note in notes)
        raise UserError(f"{source} has no clips: a manifest needs one JSON object per line, a folder files such as .wav or .flac{left_out}")
    return Opened(kept, fingerprint(kept), tuple(notes))


def of_manifest(source: str, manifest: Path, verify: bool) -> Opened:
    """The clips of a manifest file."""

    def read(hashes: Hashes) -> Opened:
        return opened_of(source, from_manifest(manifest, hashes.of, verify=verify), manifest.parent)

    return known.opened(manifest, lambda found: _made_of(found.files(), [manifest]), read, verify)


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
        return opened_of(source, found.clips, folder, found.notes)

    return known.opened(folder, state, read, verify)


def _of_kaldi(source: str, folder: Path, verify: bool) -> Opened:
    root = Path(folder.absolute().anchor)

    def read(hashes: Hashes) -> Opened:
        return opened_of(source, clips(kaldi.entries(folder), root, hashes.of, verify=verify), root)

    texts = [path for path in kaldi.texts(folder) if path.is_file()]
    return known.opened(folder / kaldi.LIST, lambda found: _made_of(found.files(), texts), read, verify, root)


def _of_shards(source: str, shards: Sequence[Path], verify: bool) -> Opened:
    folder = shards[0].parent

    def read(hashes: Hashes) -> Opened:
        return opened_of(source, clips(tar_shards.entries(shards), folder, hashes.of, verify=verify), folder)

    return known.opened(Path(source), lambda _: _made_of(map(str, shards)), read, verify, folder)


def _of_tables(source: str, tables: Sequence[Path], verify: bool) -> Opened:
    """Their rows name files, or hold audio, which is written to the cache once."""
    if not parquet_tables.audio_column(tables[0], str(tables[0])):
        folder = tables[0].parent

        def read(hashes: Hashes) -> Opened:
            return opened_of(source, (clip for table in tables for clip in from_manifest(table, hashes.of, verify=verify)), folder)

        return known.opened(Path(source), lambda found: _made_of(found.files(), tables), read, verify, folder)
    home = parquet_tables.own_copy(tables)
    if not (home / parquet_tables.DONE).is_file():
        print(f"writing the audio of {tables[0]}{' and others' * (len(tables) > 1)} once into {home}", file=sys.stderr)
        parquet_tables.copied([parquet_tables.Table(str(table), lambda table=table: table) for table in tables], home)
    return of_manifest(source, home / parquet_tables.MANIFEST, verify)


def _made_of(files: Iterable[str], texts: Sequence[Path] = ()) -> State:
    """Texts by what they say, files by size and time of change."""
    made_of = State()
    for text in texts:
        made_of.text(text.read_bytes())
    for file in dict.fromkeys(files):
        made_of.text(os.fsencode(file))
        made_of.file(file)
    return made_of


def _each_once(all_of_them: Iterable[Clip], source: str) -> Iterator[Clip]:
    seen: set[str] = set()
    for clip in all_of_them:
        if clip.id in seen:
            raise UserError(f"{source}: two clips have the id {clip.id!r}: ids must differ")
        seen.add(clip.id)
        yield clip
