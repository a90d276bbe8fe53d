"""sweep.csv: one line per point and side, all digits. Stopped runs resume from it, and plots are made of it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from bench.api import TOKENIZER_FAILED, UserError
from bench.records.writer import heal
from bench.throughput.measure import Measured
from bench.throughput.sweep import Point

FILE = "sweep.csv"
COLUMNS = (
    *("batch", "seconds", "dtype", "mode", "side", "n", "p5_s", "median_s", "p95_s", "rtfx", "tokens", "equal_codes"),
    *("host_bytes", "device_bytes", "joules", "note"),
)


def read(folder: Path) -> dict[Point, list[Measured]]:
    """The points of a run by now, the later line where a side was tried again; none where it has no such file."""
    path = folder / FILE
    found: dict[Point, dict[str, Measured]] = {}
    if not path.exists():
        return {}
    heal(path)
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            try:
                measured = _measured(line)
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(f"{path}: a line is not of this version ({error}): use --fresh to start again") from error
            found.setdefault(measured.point, {})[measured.side] = measured
    return {point: list(sides.values()) for point, sides in found.items()}


def done(folder: Path) -> dict[Point, list[Measured]]:
    """The points that need not be tried again: not those at which the tokenizer itself failed, whose reason may have passed."""
    return {p: sides for p, sides in read(folder).items() if not any(side.note.startswith(TOKENIZER_FAILED) for side in sides)}


def _measured(line: dict[str, str]) -> Measured:
    point = Point(int(line["batch"]), float(line["seconds"]), line["dtype"], line["mode"])
    p5, median, p95, equal, host, device, joules = (
        float(line[name]) for name in ("p5_s", "median_s", "p95_s", "equal_codes", "host_bytes", "device_bytes", "joules")
    )
    return Measured(point, line["side"], int(line["n"]), p5, median, p95, int(line["tokens"]), equal, host, device, joules, line["note"])


def add(folder: Path, found: Sequence[Measured]) -> None:
    """Appends a point, in one write."""
    path, out = folder / FILE, io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if not path.exists():
        writer.writerow(COLUMNS)
    for m in found:
        p = m.point
        writer.writerow(
            (p.batch, f"{p.seconds:g}", p.dtype, p.mode, m.side, m.n, m.p5, m.median, m.p95, m.rtfx, m.tokens, m.equal)
            + (m.host, m.device, m.joules, m.note)
        )
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(out.getvalue())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: finished points are kept; correct it and repeat the command") from error


def forget(folder: Path) -> None:
    """For --fresh."""
    (folder / FILE).unlink(missing_ok=True)


def plain(found: dict[Point, list[Measured]], side: str) -> list[Measured]:
    """Those that were measured with the tokenizer as it runs by itself, in the order of the sweep."""
    return [m for sides in found.values() for m in sides if m.side == side and m.point.plain and not math.isnan(m.median)]
