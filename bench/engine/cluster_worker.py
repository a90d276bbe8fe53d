"""A worker of a cluster: a process somewhere that opens the data for itself, and runs shard after shard with the engine of every run.

What is costly to load stays between shards: instances of the tokenizer, and the scoring processes with their evaluators. What comes back of
a shard are the files of its folder, as `bench run --shard` leaves them.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from filelock import FileLock

from bench import registry
from bench.api import Data, Suite, Tokenizer, UserError, Variant
from bench.engine.run import RunSession, opened, prepare, score
from bench.engine.worker_pool import WorkerPool, start_server
from bench.records import provenance
from bench.records.hardware import CORES, cores
from bench.records.identity import identity
from bench.records.options import Options
from bench.records.shards import Shard
from bench.records.writer import key_of

PASSED_ON = "AUDIO_TOKENIZER_BENCH_"  # how the names of variables begin that hold on every machine of a run
Files = Mapping[str, bytes]
"""Those of a shard's folder, by their names."""


@dataclass(frozen=True)
class Work:
    """What is run, as each process of a run opens it for itself."""

    variants: Sequence[Variant]
    suite: Suite
    data: Data


@dataclass(frozen=True)
class Setting:
    """What holds for the command, and so for its workers."""

    folder: str  # where it was given
    variables: Mapping[str, str]
    code: Mapping[str, str]  # package -> version; "commit"


def setting() -> Setting:
    """That of this process."""
    told = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    return Setting(os.getcwd(), told, _code())


def _code() -> dict[str, str]:
    return {**provenance.packages(), "commit": provenance.commit()}


class Instances:
    """The tokenizers that the codec threads of a process own. Those of one shard are those of the next."""

    def __init__(self, load: Callable[[], Tokenizer]):
        self._load, self._all, self._free = load, [], []

    def free(self) -> None:
        """The threads of a shard have ended."""
        self._free = list(self._all)

    def take(self) -> Tokenizer:
        """One that no other thread has."""
        try:
            return self._free.pop()
        except IndexError:
            self._all.append(tokenizer := self._load())
            return tokenizer


class Worker:
    """Runs shards of one suite, of a tokenizer at a time. `options.workers` is what it may use of its machine, in cores."""

    def __init__(self, place: Setting, work: Callable[[], Work], options: Options):
        self.place, self.work, self.options = place, work, options

    def open(self) -> None:
        """All that it does once. UserError where this machine is not as that of the command."""
        os.environ |= self.place.variables
        os.environ[CORES] = str(self.options.workers)
        try:
            os.chdir(self.place.folder)
        except OSError as error:
            raise self._not_here(
                f"no folder {self.place.folder} ({error.strerror}): give the command in a folder that all share"
            ) from error
        code = _code()
        names = sorted(name for name in {*code, *self.place.code} if code.get(name) != self.place.code.get(name))
        if names:
            several = [f"{name} {code.get(name) or 'none'} (the command has {self.place.code.get(name) or 'none'})" for name in names]
            raise self._not_here(f"{', '.join(several)}: install the same on every machine")
        with FileLock(Path(tempfile.gettempdir()) / f"{PASSED_ON.lower()}{os.getuid()}.lock"):  # neighbours need not fetch and hash it, too
            self.opened = self.work()
        if self.opened.suite.prepare:
            self.opened.suite.prepare()
        found = [registry.pinned(variant) for variant in self.opened.variants]
        self.variants = {self._key(variant): variant for variant in found}
        self.held = ""
        start_server("bench.metrics", f"bench.tasks.{self.opened.suite.name}")
        self.pool = WorkerPool(cores(), self.options.metric_seconds)
        self.pool.warm()

    def shard(self, key: str, shard: Shard) -> Files:
        """Runs a shard of the run of that key -> what is in its folder."""
        if key not in self.variants:
            raise self._not_here("other data, weights or code than the command: give every machine the same")
        variant, (suite, data) = self.variants[key], (self.opened.suite, self.opened.data)
        if self.held != key:
            prepare(variant, self.options.device)
            self.held, self.instances = key, Instances(partial(registry.load_tokenizer, variant, self.options.device))
        self.instances.free()
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            options = replace(self.options, results=Path(scratch), shard=shard)
            store = opened(variant, suite, data, options)
            score(RunSession(variant, suite, data, store, options, self.pool, self.instances.take))
            kept = (path for path in store.folder.rglob("[!.]*") if path.is_file())
            return {path.relative_to(store.folder).as_posix(): path.read_bytes() for path in kept}

    def _key(self, variant: Variant) -> str:
        return key_of(identity(variant, self.opened.suite, self.opened.data, self.options))

    def _not_here(self, why: str) -> UserError:
        return UserError(f"machine {socket.gethostname()}: {why}")
