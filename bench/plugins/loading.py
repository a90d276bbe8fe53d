"""A Python file of the user's own, loaded as a script would be: it imports what is beside it, and knows its own folder.

Python's table of modules is one for the whole process, so two files in two folders may each have a `model.py` beside them: the modules
of one folder are set aside while the other's are in use (`active`).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType

import numpy as np
import torch

from bench.api import Spec, UserError
from bench.data import torchaudio_guard
from bench.plugins.boundary import PREFIX, Failed, described, guarded, is_library, is_own
from bench.plugins.reads import recorded
from bench.plugins.streams import stdout_to_stderr

_LOCK = threading.RLock()  # the working folder, sys.path and sys.argv are one for all threads


@dataclass
class Plugin:
    """A file that was loaded, and what it has taken in from its folder so far."""

    file: Path
    module: ModuleType
    beside: dict[str, ModuleType] = field(default_factory=dict)  # modules that it imported and that are no installed package's, by name
    reads: set[Path] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        return self.file.parent


LOADED: dict[Path, Plugin] = {}
"""Every file loaded in this process, as it is now: like sys.modules, which it completes."""


def execute(path: Path) -> Plugin:
    """Runs the file. UserError names the line that stopped it."""
    torchaudio_guard.guard()  # the file may import transformers
    file = path.resolve()
    name = PREFIX + file.stem + "_" + hashlib.sha256(str(file).encode()).hexdigest()[:8]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None  # the suffix is .py
    with _LOCK:
        if old := LOADED.pop(file, None):  # what it imports may have changed since
            for other in old.beside:
                sys.modules.pop(other, None)
        plugin = Plugin(file, importlib.util.module_from_spec(spec))
        LOADED[file] = plugin
        sys.modules[name] = plugin.module  # before it runs: dataclasses look for their module there
        with active(file):
            spec.loader.exec_module(plugin.module)
    return plugin


@contextmanager
def active(file: Path) -> Iterator[None]:
    """Runs code of a file that was executed: its folder comes first among the places of modules. What it raises is a UserError."""
    with _LOCK:
        plugin = LOADED[file]
        _bring_forward(plugin)
        before, kept = set(sys.modules), (sys.argv, sys.dont_write_bytecode)
        sys.argv, sys.dont_write_bytecode = _NoArguments([str(file)]), True  # no files in the user's folder, and none that is out of date
        try:
            with warnings.catch_warnings(), np.errstate(), recorded(plugin.folder, plugin.reads), stdout_to_stderr(), guarded():
                yield
        except Failed as failed:
            raise UserError(f"{_where(failed, file)}: {failed.what}") from failed
        except torch.OutOfMemoryError as error:
            raise UserError(f"{file}: out of memory while it was loaded: choose another --device") from error
        finally:
            sys.argv, sys.dont_write_bytecode = kept
            plugin.beside |= {name: sys.modules[name] for name in set(sys.modules) - before if _is_beside(sys.modules[name])}


def _bring_forward(plugin: Plugin) -> None:
    for other in LOADED.values():
        if other.folder != plugin.folder:
            for name, module in other.beside.items():
                if sys.modules.get(name) is module:
                    del sys.modules[name]
    folders = {str(other.folder) for other in LOADED.values()}
    sys.path[:] = [str(plugin.folder), *(entry for entry in sys.path if entry not in folders)]
    importlib.invalidate_caches()
    sys.modules.update(plugin.beside)


def _is_beside(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and not module.__name__.startswith(PREFIX) and not is_library(Path(file).resolve())


def _where(failed: Failed, file: Path) -> str:
    """The place as the user would write it."""
    path, line = failed.where or (file, None)
    with contextlib.suppress(ValueError, OSError):
        path = path.relative_to(Path.cwd())
    return f"{path}:{line}" if line else str(path)


def usable(tokenizer: object, file: Path) -> None:
    """UserError unless it has what the contract asks for."""
    facts = getattr(tokenizer, "spec", None)
    lacking = [name for name in ("encode", "decode") if not callable(getattr(tokenizer, name, None))]
    if isinstance(facts, Spec) and not facts.decodes:
        lacking = [name for name in lacking if name != "decode"]
    if not isinstance(facts, Spec):
        lacking = ["spec (self.spec = spec)", *lacking]
    if lacking:
        raise UserError(f"{file}: what it loads is {described(tokenizer)} and lacks {', '.join(lacking)}: see bench.api.Tokenizer")


class _NoArguments(list):
    """sys.argv while a tokenizer's file is loaded: the command line is not for it. Libraries that it imports find its path."""

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        _refuse_to_own_code(sys._getframe(1))
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[str]:
        _refuse_to_own_code(sys._getframe(1))
        return super().__iter__()

    def __reduce__(self) -> tuple[type, tuple[list[str]]]:
        return list, (list.copy(self),)


def _refuse_to_own_code(frame: FrameType | None) -> None:
    """Raises where the user's own code asks, itself or by a parser such as argparse; a library that reads it when imported may."""
    while frame is not None and "importlib" not in frame.f_code.co_filename:
        path = Path(frame.f_code.co_filename)
        if not is_library(path):
            if any(is_own(path, [plugin.folder]) for plugin in LOADED.values()):
                raise RuntimeError("it reads the command line (sys.argv), which is bench's: use constants, or environment variables")
            return
        frame = frame.f_back
