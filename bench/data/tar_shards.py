"""Clips inside tar files, read where they lie: shards as WebDataset writes them, or any tar of audio.

Members that share a name up to its first dot belong to one clip: `x/7.flac` is its audio, `x/7.txt` its text, `x/7.json` its facts as a
manifest has them. Its id is that name, `x/7`. Source: github.com/webdataset/webdataset, "The WebDataset Format".
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.api import UserError
from bench.data.column_names import facts_of
from bench.data.manifest_clips import Entry
from bench.data.signatures import SUFFIXES

SUFFIX = ".tar"
LARGEST = 1 << 20  # bytes of a text or of JSON


@dataclass
class _Sample:
    """The members of one clip."""

    audio: list[tuple[str, tuple[int, int]]] = field(default_factory=list)  # what follows the first dot, and where it lies
    facts: dict[str, str] = field(default_factory=dict)


def shards(place: Path) -> list[Path]:
    """The tar files of a folder, in the order of their names, or the one that is named; [] of anything else."""
    if place.is_dir():
        return sorted(path for path in place.iterdir() if path.suffix.lower() == SUFFIX and path.is_file())
    return [place] if place.suffix.lower() == SUFFIX and place.is_file() else []


def entries(files: Sequence[Path]) -> Iterator[Entry]:
    """A clip for each file of audio in the shards, in their order; paths are relative to the shards' folder."""
    for file in files:
        for name, sample in _samples(file).items():
            for suffix, span in sample.audio:
                several = len(sample.audio) > 1
                facts = sample.facts | {"path": file.name, "id": f"{name}.{suffix}" if several else sample.facts.get("id", name)}
                yield Entry(f"{file}: {name}", facts, span)


def _samples(file: Path) -> dict[str, _Sample]:
    found: dict[str, _Sample] = {}
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                if member.isreg() and not member.issparse():
                    _add(found, file, tar, member)
    except (tarfile.TarError, EOFError) as error:
        cure = "shards are read where they lie, so unpack one that is compressed" if _compressed(file) else "copy it again"
        raise UserError(f"{file}: cannot be read as a tar file ({error}): {cure}") from error
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error
    return found


def _add(found: dict[str, _Sample], file: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    folder, _, base = member.name.removeprefix("./").rpartition("/")
    stem, _, suffix = base.partition(".")
    name = f"{folder}/{stem}" if folder else stem
    kind = "." + suffix.lower().rpartition(".")[2]
    if not stem or (kind not in SUFFIXES and suffix.lower() not in ("txt", "json")):
        return
    sample = found.setdefault(name, _Sample())
    if kind in SUFFIXES:
        sample.audio.append((suffix, (member.offset_data, member.size)))
    else:
        sample.facts |= _facts(tar, member, suffix.lower(), f"{file}: {member.name}")


def _facts(tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str, where: str) -> dict[str, str]:
    stream = tar.extractfile(member)
    assert stream, "of a regular member"
    if member.size > LARGEST:
        raise UserError(f"{where}: {member.size} bytes are too many for what is said of one clip")
    try:
        text = stream.read().decode("utf-8-sig")
        parsed = json.loads(text) if suffix == "json" else {"text": text.strip()}
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: not {'JSON' if suffix == 'json' else 'UTF-8'} ({error})") from error
    return facts_of(parsed) if isinstance(parsed, dict) else {}


def _compressed(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4)[:2] in (b"\x1f\x8b", b"BZ", b"\xfd7", b"(\xb5")
