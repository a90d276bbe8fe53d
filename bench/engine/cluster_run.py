"""A run on a cluster: units of (tokenizer, suite, shard of clips) to whoever is free, then `bench merge`, by what brought the shards.

A shard that came back lies in results/<suite>/<label>-<key8>/shards/ as one of `bench run --shard` does, so that a run that was stopped, by
whatever, goes on with the shards that it lacks. How many shards there are depends on the data and the device, and not on the cluster.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace as replaced
from pathlib import Path

import torch

from bench import registry
from bench.api import Data, Suite, UserError, Variant
from bench.engine import merging
from bench.engine.cluster import Cluster, Unit
from bench.engine.cluster_worker import Files, Work
from bench.engine.run import Progress, prepare, refuse_parts, to_parquet
from bench.engine.worker_pool import WorkerPool
from bench.records import digest, reader
from bench.records.choose import Head
from bench.records.finished import SAME_CODES, Run, finished, label
from bench.records.identity import identity
from bench.records.options import Options
from bench.records.shards import FOLDER, Shard
from bench.records.writer import SEAL, each_row, failed_clips, folder_of, key_of, noted, replace
from bench.weights.transfer import digest_of

MOST = 512  # shards of a run: enough for the clips that a cluster has at hand, and merged from as many open files
FEWEST, FEWEST_ON_GPU = 4, 64  # clips of a shard: on a GPU those of a few batches


def refuse(suite: Suite, shard: Shard | None, save_audio: Path | None) -> None:
    """UserError for what a cluster cannot do."""
    refuse_parts(suite, "leave --executor out")
    if shard:
        raise UserError("--executor ray makes shards of its own: leave --shard out")
    if save_audio:
        raise UserError("audio is saved on one machine: leave --executor out, or --save-audio")


def division(clips: int, device: str) -> int:
    """Into how many shards so many clips are cut."""
    fewest = FEWEST if torch.device(device).type == "cpu" else FEWEST_ON_GPU
    return min(MOST, max(1, clips // fewest))


class Parts:
    """The shards of one tokenizer's run: those that are here, and those to do."""

    def __init__(self, variant: Variant, suite: Suite, data: Data, options: Options):
        self.variant, self.suite, self.data, self.options = variant, suite, data, options
        facts = identity(variant, suite, data, options)
        self.key, self.folder = key_of(facts), folder_of(options.results, suite.name, label(variant), facts)
        self.finished = finished(variant, suite, data, options)
        of = division(len(data.clips), options.device)
        self.shards = [] if self.finished else [Shard(number, of) for number in range(1, of + 1)]
        if options.fresh:
            self._remove()
        self.todo = {shard for shard in self.shards if not _done(self.folder / shard.place)}
        self.new = sum(map(self._clips, self.todo))  # clips that are scored now

    @property
    def done(self) -> int:
        """Clips that have their rows."""
        return len(self.data.clips) - sum(map(self._clips, self.todo))

    def _clips(self, shard: Shard) -> int:
        return len(shard.clips(self.data.clips))

    def keep(self, shard: Shard, files: Files) -> None:
        """Writes what a worker made, run.json last: before it, the shard is not finished."""
        for name in sorted(files, key=lambda name: name == "run.json"):
            place = self.folder / shard.place / name
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                replace(place, files[name])
            except OSError as error:
                raise UserError(f"{place}: {error.strerror or error}: finished shards are kept; repeat the command after a cure") from error
        self.todo.discard(shard)

    def whole(self) -> Run:
        """The run of all shards, merged."""
        if self.finished:
            return self.finished
        folders = [self.folder / shard.place for shard in self.shards]
        heads = [Head(folder, reader.record_of(folder)) for folder in folders]
        several = [merging.Part(head, shard, len(self.data.clips)) for head, shard in zip(heads, self.shards, strict=True)]
        folder = merging.merge(several, self.options.results, label(self.variant))
        kept = digest.of_rows(folder / "rows.csv", self.suite.metrics)
        with WorkerPool(1, self.options.metric_seconds) as pool:
            notes = tuple(to_parquet(folder / "rows.csv", kept.rows, pool))
        if not kept.failed:  # those of failed clips are to run again, and need the others then
            self._remove()
        same = noted(reader.record_of(folder), SAME_CODES)
        return Run(self.variant, self.suite, self.data, kept, folder, self.new, same_codes=same, notes=notes)

    def _remove(self) -> None:
        for shard in self.shards:
            shutil.rmtree(self.folder / shard.place, ignore_errors=True)
        with contextlib.suppress(OSError):  # not there, or with shards of another division
            (self.folder / FOLDER).rmdir()


def _done(shard: Path) -> bool:
    """Whether the rows in a shard's folder are all that it needs: sealed, and of no clip on which the tokenizer failed."""
    if not (shard / "run.json").is_file() or not (shard / "rows.csv").is_file():
        return False
    rows = shard / "rows.csv"
    return digest_of(rows, "sha256") == reader.record_of(shard).get(SEAL) and not failed_clips(each_row(rows))


def run(
    variants: list[Variant],
    suite: Suite,
    data: Data,
    options: Options,
    cluster: Cluster,
    work: Callable[[], Work],
    progress: Progress | None = None,
) -> Iterator[Run]:
    """As `bench.engine.run.run`, by the workers of a cluster; `work` gives each of them the same tokenizers, suite and data."""
    if suite.prepare:
        suite.prepare()
    options = replaced(options, results=options.results.absolute())
    several = [Parts(registry.pinned(variant), suite, data, options) for variant in variants]
    for parts in several:
        if parts.todo:
            prepare(parts.variant)  # a run that cannot start leaves no trace
    by_key = {parts.key: parts for parts in several}
    todo = [Unit(parts.key, shard) for parts in several for shard in sorted(parts.todo, key=lambda shard: shard.number)]
    told = _Told(several, progress)
    for unit, files in cluster.done(todo, work, options) if todo else ():
        by_key[unit.key].keep(unit.shard, files)
        told.tell()
    for parts in several:
        yield parts.whole()


class _Told:
    """Says how far the runs are, one after the other as they become whole, though shards of the next come before the last of one."""

    def __init__(self, several: list[Parts], progress: Progress | None):
        self.waiting, self.progress = list(several), progress
        self.tell()

    def tell(self) -> None:
        """Of the first run that lacks a shard, and of those that were whole before it."""
        while self.waiting and self.progress:
            first = self.waiting[0]
            self.progress(first.variant.spec.label, first.done, len(first.data.clips))
            if first.todo:
                return
            self.waiting.pop(0)
