"""Bytes that stay in their file: of many clips, what is not looked at needs no memory."""

from __future__ import annotations

import os
from typing import BinaryIO


class OnDisk:
    """Bytes start..end of an open file, read where a slice is taken. The file may be replaced, but what is in it must not change."""

    def __init__(self, file: BinaryIO, start: int, end: int):
        self._file, self._start, self._end = file, start, end

    def __getitem__(self, part: slice) -> bytes:
        start, end, _ = part.indices(self._end - self._start)
        found = os.pread(self._file.fileno(), max(0, end - start), self._start + start)
        if len(found) < end - start:
            raise OSError(f"{self._file.name} was cut off while it was read")
        return found

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        return bytes, (self[:],)  # another process has no such file open
