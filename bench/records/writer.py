"""results/<suite>/<family>@<variant>-<key8>/{run.json, rows.csv}: what happened, safe against kill -9 and against a second run beside it.

The key is the sha256 of WHAT runs (spec with its weights, suite and version, data, seed, resampler), not of where or when. The rows of
a clip are appended in one write, under a lock, the row `seconds` last: a clip that has it is done. A torn end is cut off at the next
start, and rows that two runs wrote twice count once.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import itertools
import json
import math
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import BinaryIO

from filelock import FileLock

from bench.api import TOKENIZER_FAILED, Metric, Row, UserError
from bench.weights.transfer import digest_of

COLUMNS = ("clip", "domain", "speaker", "metric", "value", "weight", "note")
csv.field_size_limit(2**31 - 1)  # a cell may be as long as an id or a transcript; Python's own limit is 131,072 characters
LAST = "seconds"  # the metric whose row ends the rows of a clip
BLOCK = 2**16  # bytes
SEAL = "rows_sha256"  # of the finished rows.csv, in run.json


def key_of(identity: object) -> str:
    """sha256 of the canonical JSON of what runs."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def stated_span(metric: Metric) -> list[float | None]:
    """Where its scores are, as run.json says it: null is no bound."""
    return [bound if math.isfinite(bound) else None for bound in metric.span]


def format_rows(rows: Iterable[Row]) -> str:
    """Rows -> lines of CSV: plain numbers with all their digits, "\\n" at the end of each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for r in rows:
        writer.writerow((r.clip, r.domain, r.speaker, r.metric, repr(float(r.value)), repr(float(r.weight)), " ".join(r.note.split())))
    return out.getvalue()


def read_rows(path: Path) -> list[Row]:
    """The rows of a rows.csv, each (clip, domain, metric) once: the later one counts. Raises UserError with the line that is no row."""
    return list({(row.clip, row.domain, row.metric): row for row in each_row(path)}.values())


def each_row(path: Path) -> Iterator[Row]:
    """Line by line, whatever comes twice among them. Raises UserError as above."""
    last = ""  # clip: rows that are next to each other share their letters
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        if tuple(next(reader, ())) not in (COLUMNS, ()):
            raise UserError(f"{path}:1: not a rows.csv of this version: use --fresh to start again")
        for cells in reader:
            try:
                clip, domain, speaker, metric, value, weight, note = cells
                last = last if last == clip else clip
                row = Row(last, intern(domain), intern(speaker), intern(metric), float(value), float(weight), note)
            except ValueError as error:
                raise UserError(f"{path}:{reader.line_num}: not a row ({error}): delete that line, or use --fresh") from error
            yield row


def order(row: Row) -> tuple[str, str, str]:
    """In which finished rows lie."""
    return row.domain, row.clip, row.metric


def write_rows(path: Path, rows: Iterable[Row]) -> str:
    """A rows.csv of them, whole or not at all -> its sha256. However many rows there are, few are held at once."""
    several = iter(rows)
    return _write(path, iter(lambda: format_rows(itertools.islice(several, 4096)), ""))


def _write(path: Path, lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    with replacing(path) as file:
        for text in itertools.chain([",".join(COLUMNS) + "\n"], lines):
            digest.update(content := text.encode())
            file.write(content)
    return digest.hexdigest()


def _sorted(path: Path) -> Iterator[str]:
    """The lines of a rows.csv in the order of finished ones, each (clip, domain, metric) once: the later one counts. Few are held at once:
    a table on the disk, which goes with this process, sorts them."""
    with contextlib.closing(sqlite3.connect("")) as table:
        table.execute("CREATE TABLE rows (domain, clip, metric, line, PRIMARY KEY (domain, clip, metric)) WITHOUT ROWID")
        lines = ((*order(row), format_rows([row])) for row in each_row(path))
        table.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", lines)
        for (line,) in table.execute("SELECT line FROM rows ORDER BY domain, clip, metric"):
            yield line


def failed_clips(rows: Iterable[Row]) -> dict[str, str]:
    """Clips on which the tokenizer failed -> why."""
    failed = (row for row in rows if row.clip != "*" and row.note.startswith(TOKENIZER_FAILED))
    return {row.clip: row.note.removeprefix(TOKENIZER_FAILED) for row in failed}


@dataclass(frozen=True)
class Odd:
    """What is odd in files that were heard in spite of it."""

    note: str
    clips: int
    first: tuple[str, ...]  # three of them at most


class OddFiles:
    """Counts what is odd, row by row."""

    def __init__(self) -> None:
        self._found: dict[str, Odd] = {}

    def add(self, row: Row) -> None:
        """One of a finished rows.csv."""
        if row.metric == LAST and row.note and row.clip != "*" and not row.note.startswith(TOKENIZER_FAILED):
            old = self._found.get(row.note, Odd(row.note, 0, ()))
            self._found[row.note] = Odd(row.note, old.clips + 1, (*old.first, row.clip)[:3])

    def found(self) -> list[Odd]:
        """The most frequent first."""
        return sorted(self._found.values(), key=lambda odd: -odd.clips)


def odd_files(rows: Iterable[Row]) -> list[Odd]:
    """What is odd in the files of a run, the most frequent first."""
    odd = OddFiles()
    for row in rows:
        odd.add(row)
    return odd.found()


def folder_name(label: str) -> str:
    """A tokenizer's label as a folder can be called."""
    return re.sub(r"[^\w.@-]+", "_", label)


def folder_of(root: Path, suite: str, label: str, identity: object) -> Path:
    """Where the rows of a run lie, whether or not there are any yet."""
    return root / suite / f"{label}-{key_of(identity)[:8]}"


def noted(record: Mapping[str, object], name: str) -> float | None:
    """A figure of the whole run in its run.json, NaN where it could not be had; None where there is none by now."""
    if name not in record:
        return None
    value = record[name]
    return value if isinstance(value, float) else math.nan


class Store:
    """One run's folder, open for appending. Any number of processes may have it open at once."""

    def __init__(
        self,
        root: Path,
        suite: str,
        label: str,
        identity: dict[str, object],
        record: dict[str, object],
        fresh: bool = False,
        part: Path = Path(),
    ):
        """`part`: of a shard, its folder in that of the whole run. `begun`, then: whether there was nothing of the run before."""
        self.key = key_of(identity)
        self.folder = folder_of(root, suite, label, identity) / part
        self.path = self.folder / "rows.csv"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / ".lock")
            with self._lock:
                self._open(identity, record, fresh)
        except OSError as error:
            raise self._failed(error) from error

    def _open(self, identity: dict[str, object], record: dict[str, object], fresh: bool) -> None:
        run = self.folder / "run.json"
        if fresh:
            self.path.unlink(missing_ok=True)
        self.begun = not self.path.exists()
        if self.begun:
            replace(run, json.dumps({"key": self.key, "identity": identity, **record}, indent=1, sort_keys=True) + "\n")
            replace(self.path, ",".join(COLUMNS) + "\n")
        heal(self.path)
        self._drop_failed()

    def _drop_failed(self) -> None:
        """Takes out the rows of clips on which the tokenizer failed: the reason may have passed, so they are to run again. With them go
        those of the whole corpus, which lack these clips."""
        done, failed = set(), set()
        for row in each_row(self.path):
            if row.metric == LAST:
                done.add(row.clip)
                failed.discard(row.clip)  # it ran again, in another process
            if failed_clips([row]):
                failed.add(row.clip)
        if failed:
            gone = failed | {"*"}
            write_rows(self.path, (row for row in each_row(self.path) if row.clip not in gone))
        self.clips = len(done - failed)  # that need not run again

    @property
    def sealed(self) -> bool:
        """Whether its rows are finished, and none has gone or come since."""
        seal = self._record().get(SEAL)
        return seal is not None and seal == digest_of(self.path, "sha256")

    def done(self) -> set[str]:
        """The clips that need not run again."""
        return {row.clip for row in each_row(self.path) if row.metric == LAST}

    def pooled(self) -> set[str]:
        """The domains that have rows of the whole corpus."""
        return {row.domain for row in each_row(self.path) if row.clip == "*"}

    def append(self, rows: Sequence[Row]) -> None:
        """Keeps the rows of one clip, all or none."""
        data = format_rows(rows).encode()
        try:
            with self._lock, self.path.open("ab", buffering=0) as file:  # a buffer would write its rest again when it is closed
                start = file.seek(0, os.SEEK_END)
                try:
                    rest = memoryview(data)
                    while rest:
                        rest = rest[file.write(rest) :]
                except OSError:
                    file.truncate(start)  # a full disk took half of it
                    raise
        except OSError as error:
            raise self._failed(error) from error
        self.clips += any(row.metric == LAST for row in rows)

    def finish(self) -> None:
        """Sorts the file, each row once, those of other processes among them, and seals it."""
        try:
            with self._lock:
                self._add({SEAL: _write(self.path, _sorted(self.path))})
        except OSError as error:
            raise self._failed(error) from error
        except sqlite3.Error as error:
            raise self._failed(OSError(str(error))) from error

    def put(self, rows: Iterable[Row]) -> None:
        """Rows that are finished and sorted, in the place of all that is there."""
        try:
            with self._lock:
                self._add({SEAL: write_rows(self.path, rows)})
        except OSError as error:
            raise self._failed(error) from error

    def note(self, name: str, value: float) -> None:
        """Keeps a figure of the whole run in run.json."""
        try:
            with self._lock:
                self._add({name: None if math.isnan(value) else float(value)})
        except OSError as error:
            raise self._failed(error) from error

    def noted(self, name: str) -> float | None:
        """That figure, as `noted` gives it."""
        return noted(self._record(), name)

    def _add(self, facts: dict[str, object]) -> None:
        replace(self.folder / "run.json", json.dumps(self._record() | facts, indent=1, sort_keys=True) + "\n")

    def _record(self) -> dict[str, object]:
        try:
            return json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{self.folder / 'run.json'}: not JSON ({error}): use --fresh to start again") from error

    def _failed(self, error: OSError) -> UserError:
        kept = f"nothing lost, {self.clips} finished clips are kept; " if hasattr(self, "clips") else ""
        return UserError(f"{self.folder}: {error.strerror or error}: {kept}correct it (or use --results DIR) and repeat the command")


def replace(path: Path, content: str | bytes) -> None:
    """A file's new content, whole or not at all."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """The file that takes the place of another when all of it is written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def heal(path: Path) -> None:
    """Cuts off what a killed process left of a half-written line."""
    with path.open("rb+") as file:
        end = whole = file.seek(0, os.SEEK_END)
        while whole:  # block by block from the end, for the last end of a line
            start = max(0, whole - BLOCK)
            file.seek(start)
            if (found := file.read(whole - start).rfind(b"\n")) >= 0:
                whole = start + found + 1
                break
            whole = start
        if whole < end:
            file.truncate(whole)
