"""What tables say of a finished run: means with intervals, failures, notes. Kept beside rows.csv, so that rows are read once, however many.

Rows are read one after the other and scores lie in a temporary file, a metric at a time in memory. What is kept is believed where it was
made of these very rows and metrics by this code, and else made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from io import BufferedRandom
from itertools import groupby
from pathlib import Path

import numpy as np

from bench.api import DOMAINS, Metric, Row
from bench.records.writer import LAST, Odd, OddFiles, each_row, failed_clips, order, read_rows, replace
from bench.statistics import bootstrap, intervals
from bench.statistics.bootstrap import Reasons, Summary, summary_of
from bench.weights.transfer import digest_of

FILE = ".digest.json"
BUFFER = 4096  # scores of a metric in memory before they go to the temporary file


@dataclass(frozen=True)
class Digest:
    """Of rows in the order of a finished rows.csv."""

    rows: int
    clips: int  # that are done
    summaries: tuple[Summary, ...]
    pooled: tuple[Row, ...]  # those of the whole corpus, of clip "*"
    failed: dict[str, str]  # clips on which the tokenizer failed -> why
    odd: tuple[Odd, ...]  # what is odd in files, the most frequent first
    missing: tuple[tuple[str, str, int], ...]  # (metrics, note, clips) of scores, the most frequent first


def digest(rows: Iterable[Row], metrics: Sequence[Metric]) -> Digest:
    """Of finished rows: those of one clip follow each other."""
    with tempfile.TemporaryFile() as file:
        scores, odd, missing = _Scores(file, metrics), OddFiles(), Reasons()
        pooled: list[Row] = []
        failed: dict[str, str] = {}
        count = clips = 0
        for clip, several in groupby(rows, lambda row: (row.domain, row.clip)):
            own = list(several)
            scores.add(own)
            count += len(own)
            if clip[1] == "*":
                pooled += own
                continue
            clips += any(row.metric == LAST for row in own)
            failed |= failed_clips(own)
            missing.add(own)
            for row in own:
                odd.add(row)
        return Digest(count, clips, tuple(scores.summaries()), tuple(pooled), failed, tuple(odd.found()), tuple(missing.found()))


class _Scores:
    """Every score with its weight and the place of its clip in the domain, metric by metric in a file."""

    def __init__(self, file: BufferedRandom, metrics: Sequence[Metric]):
        self._file, self._metrics = file, {metric.name: metric for metric in metrics}
        self._buffers: dict[tuple[str, str], array[float]] = defaultdict(lambda: array("d"))
        self._parts: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)  # where they lie in the file, and how many bytes
        self._missing: dict[tuple[str, str], int] = defaultdict(int)
        self._speakers: dict[str, _Names] = defaultdict(_Names)

    def add(self, rows: Sequence[Row]) -> None:
        """The rows of one clip."""
        names = self._speakers[rows[0].domain]
        names.add(rows[0].speaker or rows[0].clip)
        for row in rows:
            if row.metric in self._metrics:
                buffer = self._buffers[row.domain, row.metric]
                if row.value == row.value:
                    buffer.extend((row.value, row.weight, names.count - 1))
                else:
                    self._missing[row.domain, row.metric] += 1
                if len(buffer) >= 3 * BUFFER:
                    self._spill(row.domain, row.metric)

    def _spill(self, domain: str, metric: str) -> None:
        content = self._buffers[domain, metric].tobytes()
        self._parts[domain, metric].append((self._file.seek(0, os.SEEK_END), len(content)))
        self._file.write(content)
        self._buffers[domain, metric] = array("d")

    def summaries(self) -> Iterator[Summary]:
        """By domain, in the order of the metrics."""
        for domain in DOMAINS:
            speakers = self._speakers[domain].places() if domain in self._speakers else np.empty(0)
            for name, metric in self._metrics.items():
                if (domain, name) in self._buffers:
                    values, weights, places = self._read(domain, name).reshape(-1, 3).T
                    yield summary_of(domain, metric, values, weights, speakers[places.astype(np.int64)], self._missing[domain, name])

    def _read(self, domain: str, metric: str) -> np.ndarray:
        rest, parts = self._buffers[domain, metric], self._parts[domain, metric]
        spilt = sum(size for _, size in parts) // rest.itemsize
        found, at = np.empty(spilt + len(rest)), 0  # filled where it lies: a copy of a large one is as large
        for start, size in parts:
            self._file.seek(start)
            self._file.readinto(found[at : at + size // rest.itemsize].data)
            at += size // rest.itemsize
        found[spilt:] = rest
        return found


class _Names:
    """Many names, most of them few letters long, and their places among each other."""

    def __init__(self) -> None:
        self._new: list[bytes] = []
        self._packed: list[np.ndarray] = []
        self.count = 0

    def add(self, name: str) -> None:
        """One more, which may have come before."""
        self.count += 1
        self._new.append(name.encode("utf-8", "surrogatepass"))
        if len(self._new) == BUFFER:
            self._packed.append(np.array(self._new))
            self._new = []

    def places(self) -> np.ndarray:
        """[count] of each name, the place of its spelling in the order of all."""
        packed = [*self._packed, np.array(self._new)] if self._new else self._packed
        return np.unique(np.concatenate(packed), return_inverse=True)[1].astype(np.int32)


def of_rows(path: Path, metrics: Sequence[Metric]) -> Digest:
    """The digest of a finished rows.csv."""
    place = path.with_name(FILE)
    facts = [(m.name, m.per, m.span) for m in metrics]
    made_of = hashlib.sha256(f"{digest_of(path, 'sha256')} {_code()} {facts}".encode()).hexdigest()
    if kept := _kept(place, made_of):
        return kept
    try:
        found = digest(_in_order(each_row(path)), metrics)
    except _Unsorted:  # another process has written since they were sorted, and will sort them again
        return digest(sorted(read_rows(path), key=order), metrics)
    with contextlib.suppress(OSError):  # results that cannot be written can be read again
        replace(place, json.dumps({"made_of": made_of, "digest": asdict(found)}) + "\n")
    return found


class _Unsorted(Exception):
    """Rows are not those of a finished run."""


def _in_order(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows; _Unsorted at the first that does not come after the one before it."""
    last = ("", "", "")
    for row in rows:
        if (own := order(row)) <= last:
            raise _Unsorted
        last = own
        yield row


def _kept(place: Path, made_of: str) -> Digest | None:
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        if content["made_of"] != made_of:
            return None
        facts = content["digest"]
        summaries, pooled = tuple(Summary(**one) for one in facts["summaries"]), tuple(Row(**one) for one in facts["pooled"])
        odd = tuple(Odd(one["note"], one["clips"], tuple(one["first"])) for one in facts["odd"])
        missing = tuple((metrics, note, clips) for metrics, note, clips in facts["missing"])
        return Digest(facts["rows"], facts["clips"], summaries, pooled, facts["failed"], odd, missing)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=1)
def _code() -> str:
    """sha256 of what makes a digest: another version may sum up otherwise."""
    files = (__file__, bootstrap.__file__, intervals.__file__)
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()
