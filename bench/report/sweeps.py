"""The points of throughput sweeps -> a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from bench.report.formats import Grid
from bench.throughput.measure import Measured
from bench.throughput.table import read


def grid(runs: Sequence[tuple[str, Path]]) -> list[Grid]:
    """Every point of runs given as label and folder, a line each; none where no run was timed."""
    lines = [[label, *_cells(sides)] for label, folder in runs for sides in read(folder).values()]
    header = ["tokenizer", "clips", "of", "dtype", "way", "encode ↑", "decode ↑", "same codes", "host MB ↓", "device MB ↓", ""]
    filled = [i for i in range(len(header)) if any(line[i] for line in lines)]
    caption = "every point: seconds of audio per second, median [5 %, 95 % of the repeats]"
    return [(caption, [header[i] for i in filled], [[line[i] for i in filled] for line in lines])] if lines else []


def _cells(sides: Sequence[Measured]) -> list[str]:
    point, encode = sides[0].point, sides[0]
    speeds = {m.side: "–" if m.note else f"{m.rtfx:.4g} [{point.audio / m.p95:.4g}, {point.audio / m.p5:.4g}]" for m in sides}
    equal = "" if math.isnan(encode.equal) else f"{100 * encode.equal:.2f} %"
    notes = "; ".join(dict.fromkeys(m.note for m in sides if m.note))
    memory = [_most([m.host for m in sides]), _most([m.device for m in sides])]
    where = [str(point.batch), f"{point.seconds:g} s", point.dtype, point.mode]
    return [*where, speeds.get("encode", ""), speeds.get("decode", ""), equal, *memory, notes]


def _most(values: Sequence[float]) -> str:
    known = [value for value in values if not math.isnan(value)]
    return f"{max(known) / 1e6:.0f}" if known else ""
