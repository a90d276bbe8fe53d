"""Which files a user's own code opens while it is loaded, by Python's audit events.

Recorded are the files in and below its folder, whoever opens them, and elsewhere those that its own lines open. What C code opens by
itself raises no event.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType

from bench.plugins.boundary import is_library, is_own

_listening: list[tuple[Path, set[Path]]] = []
SYSTEM = tuple(map(Path, ("/proc", "/sys", "/dev")))


@contextmanager
def recorded(folder: Path, reads: set[Path]) -> Iterator[None]:
    """Adds to `reads` what is opened for reading by code of that folder."""
    _listen()
    _listening.append((folder, reads))
    try:
        yield
    finally:
        _listening.pop()


@lru_cache(maxsize=1)  # a hook stays for as long as the process lives
def _listen() -> None:
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or not _listening:
        return
    path, mode, flags = arguments
    if not isinstance(path, str | bytes) or not _reading(mode, flags):
        return
    folder, reads = _listening[-1]
    found = Path(os.path.realpath(os.fsdecode(path)))
    if found.suffix in (".py", ".pyc") and _by_import(sys._getframe(1)):
        return  # modules are known by sys.modules
    if is_own(found, [folder]) or (not _passing(found) and _own_line(sys._getframe(1), folder)):
        reads.add(found)


def _reading(mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return "r" in mode
    return not isinstance(flags, int) or flags & (os.O_WRONLY | os.O_RDWR) == os.O_RDONLY


def _passing(path: Path) -> bool:
    """Whether a file is a library's, the system's or a temporary one."""
    return is_library(path) or any(root in path.parents for root in (*SYSTEM, Path(tempfile.gettempdir())))


def _by_import(frame: FrameType | None) -> bool:
    return frame is not None and "importlib" in frame.f_code.co_filename


def _own_line(frame: FrameType | None, folder: Path) -> bool:
    """Whether the folder's own code opens it, itself or by Python's library (pathlib, json); not a package that it has called."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if "site-packages" in path.parts or "importlib" in str(path):
            return False
        if is_own(path, [folder]):
            return True
        frame = frame.f_back
    return False
