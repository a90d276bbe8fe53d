"""transcripts.csv: the ASR model's hypothesis for each clip, saved beside its rows for people to read. No score is made from it.

Lines are appended one clip at a time, so that a run can stop anywhere; at its end they are sorted, each clip once. Any number of runs may
write at once.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from filelock import FileLock

from bench.api import UserError
from bench.records.writer import heal, replace

COLUMNS = ("clip", "language", "transcript", "original", "reconstruction")


class Transcripts:
    """The file in a run's folder; `fresh`: what an earlier run left is forgotten."""

    def __init__(self, folder: Path, fresh: bool):
        self.path = folder / "transcripts.csv"
        self._lock = FileLock(folder / ".transcripts.lock")
        try:
            with self._lock:
                if fresh or not self.path.exists():
                    replace(self.path, _lines([COLUMNS]))
                heal(self.path)
        except OSError as error:
            raise self._failed(error) from error

    def keep(self, *cells: str) -> None:
        """The line of a clip, a cell for each of COLUMNS."""
        try:
            with self._lock, self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(_lines([cells]))
        except OSError as error:
            raise self._failed(error) from error

    def finish(self) -> None:
        """Sorts the lines; of a clip that was heard twice the later one stays."""
        try:
            with self._lock:
                with self.path.open(encoding="utf-8", newline="") as file:
                    _, *lines = csv.reader(file)
                last = {line[0]: line for line in lines}
                replace(self.path, _lines([COLUMNS, *(last[clip] for clip in sorted(last))]))
        except OSError as error:
            raise self._failed(error) from error

    @staticmethod
    def join(folders: Sequence[Path], whole: Path) -> None:
        """The file of a whole run from those of its shards."""
        joined = Transcripts(whole, fresh=True)
        try:
            with joined._lock, joined.path.open("a", encoding="utf-8", newline="") as file:
                for folder in folders:
                    with (folder / joined.path.name).open(encoding="utf-8", newline="") as part:
                        file.write(part.read().partition("\n")[2])
        except OSError as error:
            raise joined._failed(error) from error
        joined.finish()

    def _failed(self, error: OSError) -> UserError:
        return UserError(f"{self.path}: {error.strerror or error}: finished clips are kept; correct it and repeat the command")


def _lines(lines: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([clip, *(" ".join(cell.split()) for cell in line)] for clip, *line in lines)
    return out.getvalue()
