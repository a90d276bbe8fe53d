"""Shards of runs -> the whole runs: the very rows that one run of all clips writes.

Rows are merged line by line, in their order, so that memory does not grow with them. What is pooled over all clips is made anew from what
the shards left (`Suite.merge`). A run that lacks a shard is not merged, and what it lacks is named.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import registry
from bench.api import Row, UserError
from bench.records import reader
from bench.records.choose import Head
from bench.records.shards import FOLDER, Shard
from bench.records.specs import spec_of
from bench.records.writer import Store, each_row, order

OWN = 64  # files that a process has open beside those that it merges


@dataclass(frozen=True)
class Part:
    """One shard as it lies in a folder."""

    head: Head
    shard: Shard
    clips: int  # of the whole data

    @property
    def state(self) -> str:
        """What it lacks, in words; "" of a finished one."""
        if self.head.finished:
            return ""
        todo = reader.unfinished(self.head.folder, self.head.record)
        return f"{self.shard} has not finished ({todo} of {self.head.record['clips']} clips are to do)"


def parts(sources: Iterable[Path]) -> dict[tuple[str, str, str], list[Part]]:
    """(suite, label, key) -> its shards in any of several results folders; UserError where there are none at all."""
    found: dict[tuple[str, str, str], list[Part]] = {}
    places = list(sources)
    for source in places:
        for path in sorted(source.glob(f"*/*/{FOLDER}/*/run.json")):
            record = reader.record_of(path.parent)
            shard = record["shard"]
            part = Part(Head(path.parent, record), Shard(shard["number"], shard["of"]), shard["clips"])
            found.setdefault((record["identity"]["suite"], path.parents[2].name[:-9], record["key"]), []).append(part)
    if not found:
        raise UserError(f"no shard in {', '.join(map(str, places))}: make them with bench run --shard 1/8, and so on to 8/8")
    return found


def lacking(several: Sequence[Part]) -> list[str]:
    """Which shards a run has yet to get, in words; none where it is whole."""
    of, there = several[0].shard.of, {part.shard.number for part in several}
    missing = [str(Shard(number, of)) for number in range(1, of + 1) if number not in there]
    return [*([f"{', '.join(missing)} missing"] if missing else []), *filter(None, (part.state for part in several))]


def chosen(several: Sequence[Part]) -> list[Part]:
    """The shards of one division, one of each number, a finished one before another: of several divisions the one that lacks the fewest."""
    divisions: dict[int, dict[int, Part]] = {}
    for part in sorted(several, key=lambda part: not part.state):
        divisions.setdefault(part.shard.of, {})[part.shard.number] = part
    lists = [[by_number[number] for number in sorted(by_number)] for by_number in divisions.values()]
    return min(lists, key=lambda one: (len(lacking(one)), one[0].shard.of))


def merge(several: Sequence[Part], results: Path, label: str) -> Path:
    """Writes the whole run of complete shards into `results`, in the place of what lies there -> its folder."""
    first = several[0].head.record
    identity = first["identity"]
    about = {name: value for name, value in first.items() if name not in ("key", "identity", "shard", "clips", "rows_sha256")}
    made = [
        {"shard": str(part.shard)} | {name: part.head.record.get(name) for name in ("started", "commit", "machine")} for part in several
    ]
    about |= {"clips": several[0].clips, "shards": made}
    folders = [part.head.folder for part in several]
    suite = registry.load_suite(identity["suite"])
    store = Store(results, suite.name, label, dict(identity), about, fresh=True)
    pooled = suite.merge(spec_of(identity["tokenizer"]), folders, store.folder) if suite.merge else []
    allow_open(len(folders))
    rows = [each_row(folder / "rows.csv") for folder in folders]
    store.put(_each_once(heapq.merge(*rows, sorted(pooled, key=order), key=order)))
    return store.folder


def allow_open(files: int) -> None:
    """Let this process have so many files open at once, where systems let 1,024 by default; UserError where they let no more."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = files + OWN
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise UserError(f"{files} shards are to be open at once, and this system lets a process have {hard} files: raise ulimit -Hn")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _each_once(rows: Iterable[Row]) -> Iterator[Row]:
    """Sorted rows, those that all shards have but once; UserError where two of one name differ."""
    last: Row | None = None
    for row in rows:
        if last is None or order(row) != order(last):
            yield row
        elif repr(row) != repr(last):  # NaN is NaN
            raise UserError(f"two shards differ in {row.metric} of {row.clip}: they were made of different versions, run one of them again")
        last = row


def whole(sources: Iterable[Path], results: Path) -> tuple[list[tuple[Path, Mapping]], list[str]]:
    """(folder, its shards' first record) of each run that was merged, and a line for each that lacks something."""
    done: list[tuple[Path, Mapping]] = []
    wanting: list[str] = []
    for (suite, label, _), several in parts(sources).items():
        own = chosen(several)
        if lacks := lacking(own):
            wanting.append(f"{label} in {suite}: {'; '.join(lacks)}")
        else:
            done.append((merge(own, results, label), own[0].head.record))
    return done, wanting
