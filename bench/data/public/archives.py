"""Archives (tar of any compression, zip, zip in volumes) -> their regular files below a folder, with the sha256 of each.

Nothing else of an archive gets to the disk: no links, no devices, no owners or modes, and no name that leads out of the folder.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from bench.api import UserError

CHUNK = 1 << 20  # bytes
NESTED = "*.tar.gz"  # archives in an archive, unpacked where they lie in it (AISHELL has one a speaker)
VOLUME = re.compile(r"\.z\d\d$")
LOCAL = struct.Struct("<4s5H3I2H")  # a local header of zip, 4.3.7 of its specification (APPNOTE.TXT)
BROKEN = (  # RuntimeError: what zipfile raises of a file that is encrypted, or compressed in a way that it does not know
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, ValueError, RuntimeError),
)


@dataclass(frozen=True)
class _Member:
    """A regular file in an archive."""

    name: str
    opened: Callable[[], IO[bytes]]


def volumes(files: Sequence[Path]) -> list[list[Path]]:
    """The archives of some files: x.z01, x.z02, x.zip are one."""
    found: dict[str, list[Path]] = {}
    for file in files:
        key = VOLUME.sub("", file.name) if VOLUME.search(file.name) else file.name.removesuffix(".zip")
        found.setdefault(key, []).append(file)
    return [sorted(several, key=lambda file: (file.suffix == ".zip", file.name)) for several in found.values()]


def unpacked(archive: Sequence[Path], folder: Path, progress: Callable[[], object] = lambda: None) -> dict[str, str]:
    """Path below the folder -> sha256, of every file of an archive (its volumes in order). UserError where it is broken or leads out."""
    found: dict[str, str] = {}
    try:
        for member in _members(archive):
            for name, content in _parts(member):
                found[name] = _written(content, folder / _inside(name, archive[-1]))
                progress()
    except BROKEN as error:
        raise UserError(f"{archive[-1]}: cannot be unpacked ({error}): delete it and fetch it again") from error
    return found


def listing(path: Path) -> dict[str, str]:
    """What `unpacked` gave, as it was kept at a path; {} where it was not."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _parts(member: _Member) -> Iterator[tuple[str, IO[bytes]]]:
    """The file itself, or those of the archive that it is."""
    if not fnmatch.fnmatch(member.name, NESTED):
        with member.opened() as content:
            yield member.name, content
        return
    folder = PurePosixPath(member.name).parent
    with member.opened() as content, tarfile.open(fileobj=content, mode="r|*") as inner:
        for one in inner:
            if one.isreg() and (stream := inner.extractfile(one)):
                yield str(folder / one.name), stream


def _members(archive: Sequence[Path]) -> Iterator[_Member]:
    last = archive[-1]
    if len(archive) > 1:
        yield from _of_volumes(archive)
    elif zipfile.is_zipfile(last):
        with zipfile.ZipFile(last) as whole:
            for info in whole.infolist():
                kind = info.external_attr >> 28  # of a file made on Unix: 10 is a link, 0 says nothing
                if not info.filename.endswith("/") and kind in (0, 8):  # is_dir fails where the name is empty
                    yield _Member(info.filename, lambda info=info: whole.open(info))
    else:
        with tarfile.open(last, "r|*") as stream:
            for member in stream:
                if member.isreg() and (content := stream.extractfile(member)):
                    yield _Member(member.name, lambda content=content: content)


def _inside(name: str, archive: Path) -> PurePosixPath:
    """The path of a member, relative. UserError where it is none, or leads out of the folder."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        raise UserError(f"{archive}: its member {name!r} leads out of the folder: not the archive that is meant, delete it")
    return path


def _written(content: IO[bytes], path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _of_volumes(files: Sequence[Path]) -> Iterator[_Member]:
    """The files of a zip in volumes, which Python's zipfile lists and cannot read: offsets in it count from the start of a volume."""
    with _Joined(files) as whole, zipfile.ZipFile(whole) as listed:  # type: ignore[arg-type]  # it reads, seeks and tells
        for info in listed.infolist():
            if not info.filename.endswith("/"):
                start = whole.starts[info.volume] + info.header_offset - whole.starts[-1]  # zipfile added where the last volume starts
                yield _Member(info.filename, lambda info=info, start=start: _inflated(whole, info, start))


def _inflated(whole: _Joined, info: zipfile.ZipInfo, start: int) -> IO[bytes]:
    """The content of one file, its checksum proven."""
    whole.seek(start)
    header = LOCAL.unpack(whole.read(LOCAL.size))
    if header[0] != b"PK\x03\x04" or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile(f"no file that can be read where {info.filename} should begin")
    whole.seek(start + LOCAL.size + header[-2] + header[-1])
    content = whole.read(info.compress_size)
    content = zlib.decompress(content, -zlib.MAX_WBITS) if info.compress_type == zipfile.ZIP_DEFLATED else content
    if zlib.crc32(content) != info.CRC:
        raise zipfile.BadZipFile(f"the checksum of {info.filename} is wrong")
    return io.BytesIO(content)


class _Joined(io.RawIOBase):
    """Several files as one, one behind the other."""

    def __init__(self, files: Sequence[Path]):
        self._files = [file.open("rb") for file in files]
        sizes = [file.stat().st_size for file in files]
        self.starts = [sum(sizes[:number]) for number in range(len(sizes))]
        self._size, self._at = sum(sizes), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._at if size is None or size < 0 else size
        found = b""
        while left > 0 and self._at < self._size:
            number = max(i for i, start in enumerate(self.starts) if start <= self._at)
            self._files[number].seek(self._at - self.starts[number])
            chunk = self._files[number].read(left)
            if not chunk:
                break
            found, left, self._at = found + chunk, left - len(chunk), self._at + len(chunk)
        return found

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
