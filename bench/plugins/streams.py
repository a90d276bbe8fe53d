"""What another's code prints goes to stderr: stdout is for tables and CSV."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """All that is printed within, by Python, by C code or by a process that is started, goes to stderr."""
    _flush()
    try:
        kept = os.dup(1)
    except OSError:  # there is no stdout
        yield
        return
    try:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    for stream in (sys.stdout, sys.__stdout__):
        with contextlib.suppress(OSError, ValueError):  # a closed pipe is told by whoever prints next
            if stream is not None:
                stream.flush()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no C library that can be asked
        ctypes.CDLL(None).fflush(None)
