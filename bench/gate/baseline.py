"""The baseline: one plain-text file with all that runs are compared with. JSON, one object per line, sorted, so that a diff can be read.

The first line is {"baseline": 1}. A run is a line {"run": its run.json without when and where}, then a line for each clip ("*": the whole
corpus): {"clip", "domain", "speaker", "scores"}, a score being a value, [value, weight] where the weight is not 1, or null where it is
missing. Nine digits are kept: all that float32 has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.api import Row, UserError
from bench.records.reader import Kept, check_record
from bench.records.writer import replace

VERSION = 1
KEPT = ("key", "identity", "metrics", "data_name", "clips", "packages", "machine")  # of run.json


def write(path: Path, runs: Iterable[Kept]) -> None:
    """Puts the baseline of these runs in the place of an older one, whole or not at all."""
    ordered = sorted(runs, key=lambda run: (run.suite, run.label))
    text = "".join(_line(entry) for entry in ({"baseline": VERSION}, *(entry for run in ordered for entry in _entries(run))))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, text)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: choose another place for the baseline") from error


def _line(entry: Mapping) -> str:
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"


def _entries(run: Kept) -> Iterator[Mapping]:
    yield {"run": {key: run.record[key] for key in KEPT if key in run.record}}
    clips: dict[tuple[str, str, str], dict[str, object]] = {}
    for (domain, metric), rows in run.scores.items():
        for clip, row in rows.items():
            clips.setdefault((domain, clip, row.speaker), {})[metric] = _score(row)
    for (domain, clip, speaker), scores in sorted(clips.items()):
        yield {"domain": domain, "clip": clip, "speaker": speaker, "scores": scores}


def _score(row: Row) -> float | list[float] | None:
    if math.isnan(row.value):
        return None
    value, weight = float(f"{row.value:.9g}"), float(f"{row.weight:.9g}")
    if not (math.isfinite(value) and math.isfinite(weight)):
        raise UserError(f"{row.metric} of {row.clip} is {row.value} with weight {row.weight}: no baseline can be made of an infinite score")
    return value if weight == 1 else [value, weight]


def read(path: Path) -> list[Kept]:
    """The runs of a baseline; UserError with the line that is none of its lines."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such baseline: write it with bench gate --baseline {path} --update") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}): write it again with bench gate --update") from error
    entries = [_parsed(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]
    if not entries or entries[0].get("baseline") != VERSION:
        raise UserError(f"{path}:1: no baseline of this version: delete it, and write it again with bench gate --update")
    runs: list[tuple[Mapping, list[Row]]] = []
    for number, entry in enumerate(entries[1:], 2):
        where = f"{path}:{number}"
        if "run" in entry:
            check_record(entry["run"], where)
            runs.append((entry["run"], []))
        elif runs:
            runs[-1][1].extend(_rows(entry, where))
        else:
            raise UserError(f"{where}: a clip of no run: write the baseline again with bench gate --update")
    return [Kept(path, record, rows) for record, rows in runs]


def _parsed(line: str, where: str) -> Mapping:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not JSON ({error}): write the baseline again with bench gate --update") from error
    if not isinstance(entry, dict):
        raise UserError(f"{where}: not an object: write the baseline again with bench gate --update")
    return entry


def _rows(entry: Mapping, where: str) -> list[Row]:
    try:
        place = str(entry["clip"]), str(entry["domain"]), str(entry["speaker"])
        return [Row(*place, metric, *_numbers(score)) for metric, score in entry["scores"].items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{where}: not a clip's scores: write the baseline again with bench gate --update") from error


def _numbers(score: float | Sequence[float] | None) -> tuple[float, float]:
    if score is None:
        return math.nan, 1.0
    value, weight = score if isinstance(score, Sequence) else (score, 1.0)
    return float(value), float(weight)
