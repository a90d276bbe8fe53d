"""What the C library does with memory that a training step has freed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_memory() -> Iterator[None]:
    """Inside, glibc keeps freed blocks: a step frees and takes the same ones, and fresh pages cost a fifth of its time.

    Afterwards large ones go back at once again: a process that has trained must not hold more than another when its memory is measured.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt"):
        yield
        return
    trim, direct = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
    for option in (trim, direct):
        libc.mallopt(option, 2**30)  # type: ignore[union-attr]
    try:
        yield
    finally:  # what glibc goes to by itself at most, as blocks are freed (mallopt(3)); no call tells what it was
        libc.mallopt(direct, 2**25)  # type: ignore[union-attr]
        libc.mallopt(trim, 2**26)  # type: ignore[union-attr]
