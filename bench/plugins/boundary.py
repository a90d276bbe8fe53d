"""The boundary to code that is anybody's: what it raises becomes one line, what it changes in the process is put back.

A tokenizer gets copies, so what it writes in place stays with it. SystemExit is a failure like any other, so is a KeyboardInterrupt that
does not come from the keyboard: only the main thread gets that one.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

import bench
from bench.api import Codes, Packs, Tokenizer, UserError
from bench.plugins import calls
from bench.plugins.given import described

PREFIX = "bench_plugin_"  # of the name that a file of the user's own has among the modules
LONGEST = 300  # characters of what an error says


class Failed(Exception):
    """What another's code raised, as one line, with the place in the user's own file where there is one."""

    def __init__(self, error: BaseException):
        self.what, self.where = told(error), place(error)
        super().__init__(self.what + (f" ({self.where[0].name}:{self.where[1]})" if self.where else ""))


@contextmanager
def guarded(*passed: type[BaseException]) -> Iterator[None]:
    """Runs another's code: whatever it raises is Failed, but for `passed`, UserError, a full memory and Ctrl-C."""
    folder, dtype = _folder(), torch.get_default_dtype()
    try:
        yield
    except (Failed, UserError, torch.OutOfMemoryError, *passed):
        raise
    except BaseException as error:  # the one place where anything is caught: SystemExit would end the run as if all were well
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        raise Failed(error) from error
    finally:
        if folder and _folder() != folder:
            os.chdir(folder)
        if torch.get_default_dtype() != dtype:
            torch.set_default_dtype(dtype)


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was deleted under us
        return ""


def encode(tokenizer: Tokenizer, wav: Tensor) -> Codes:
    """tokenizer.encode of a copy of wav [B, C, T]: tensors, not yet looked at. Failed where it gives none."""
    with guarded():
        return calls.encode(tokenizer, wav.clone())


def decode(tokenizer: Tokenizer, codes: Codes, seeds: Sequence[int] = ()) -> Tensor:
    """tokenizer.decode of a copy of codes: a tensor of floating point, not yet looked at. Failed where it gives none.

    `seeds`, one for each item, are for a decoder that draws noise; left out, they are 0.
    """
    with guarded():
        wav = calls.decode(tokenizer, Codes(*(part.clone() for part in codes.parts)), seeds)
        if not isinstance(wav, Tensor) or not wav.is_floating_point():
            raise TypeError(f"decode must give audio, a torch.Tensor [B, C, T] of float32, and gave {described(wav)}")
    return wav


def bits(tokenizer: Packs, codes: Tensor) -> int:
    """tokenizer.packed_bits of a copy of codes [1, K, F]. Failed where it is no number of bits."""
    with guarded():
        found = tokenizer.packed_bits(codes.clone())
        if not isinstance(found, int) or found < 0:
            raise TypeError(f"packed_bits must give a whole number of bits, and gave {described(found)}")
    return found


def told(error: BaseException) -> str:
    """Type and text of an error on one line."""
    if isinstance(error, SystemExit):
        return f"it called exit({'' if error.code is None else repr(error.code)})"
    text = " ".join(str(error).split())
    text = text if len(text) <= LONGEST else text[:LONGEST] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place(error: BaseException) -> tuple[Path, int] | None:
    """The last line of the user's own that an error went through; None: it is all of others' files."""
    own = folders()
    if isinstance(error, SyntaxError) and error.filename and error.lineno and is_own(Path(error.filename), own):
        return Path(error.filename), error.lineno
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.lineno and is_own(Path(frame.filename), own):
            return Path(frame.filename), frame.lineno
    return None


def folders() -> list[Path]:
    """Where the loaded files of the user's own are."""
    files = (getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if name.startswith(PREFIX))
    return [Path(file).parent for file in files if file]


def is_own(path: Path, folders: list[Path]) -> bool:
    """Whether a file is in or below one of those folders, and no library's that happens to be there, as in a virtual environment."""
    return any(folder in path.parents for folder in folders) and not is_library(path)


def is_library(path: Path) -> bool:
    """Whether a file belongs to Python, to an installed package or to the harness."""
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(root in path.parents for root in _libraries())


@lru_cache(maxsize=1)
def _libraries() -> tuple[Path, ...]:
    ours = Path(bench.__file__).resolve().parent
    python = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    return (ours, *python)
