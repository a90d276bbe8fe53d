"""Runs stored in results/<suite>/<label>-<key8>/: found by name, folder or rows.csv, and read without the tokenizer that made them.

A run's fingerprint is all of its identity but the tokenizer: suite, version, data, seed, resampler, judge. Scores are compared only
where it is the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.api import DOMAINS, LARGEST_COUNTED, LEVEL_BITS, Metric, Row, UserError
from bench.records.writer import LAST, each_row, key_of, read_rows

_FOLDER = re.compile(r"(?P<label>.+)-[0-9a-f]{8}")
SEEDLESS = ("reconstruction", "mcd", "asr", "speaker")  # suites that draw nothing by themselves
CALLED = {"data": "data sha256", "version": "suite version"}  # what a line says for a key of the identity


@dataclass(frozen=True)
class Kept:
    """A run that happened. `record` is its run.json: identity, facts of the metrics, where and when."""

    where: Path  # its folder, or the baseline that holds it
    record: Mapping
    rows: Sequence[Row]

    @property
    def identity(self) -> Mapping:
        return self.record["identity"]

    @property
    def suite(self) -> str:
        return self.identity["suite"]

    @property
    def tokenizer(self) -> Mapping:
        """The facts of its spec."""
        return self.identity["tokenizer"]

    @property
    def label(self) -> str:
        """`family@variant`."""
        return f"{self.tokenizer['name']}@{self.tokenizer['variant']}"

    @property
    def key(self) -> str:
        """The first eight digits of what tells it from every other run."""
        return key_of(self.identity)[:8]

    @property
    def trained(self) -> bool:
        """False for seeded random weights."""
        return not self.tokenizer["weights"].startswith("seed:")

    @property
    def fingerprint(self) -> dict[str, object]:
        """What must be the same in two runs for their scores to be compared."""
        return fingerprint(self.identity)

    @property
    def machine(self) -> str:
        """Where a suite that times was run, in words; "" of any other suite."""
        return place(self.identity["machine"]) if "machine" in self.identity else ""

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """The columns of its suite, as they were then, in their order."""
        facts = self.record["metrics"]
        return {f["name"]: _metric(f) for f in facts}

    @property
    def headline(self) -> list[str]:
        """The columns that tables show first; all where the suite names none."""
        return [name for name in self.record.get("headline", ()) if name in self.metrics] or list(self.metrics)

    @property
    def overview(self) -> list[str]:
        """The columns that stand for the suite beside other suites."""
        return [name for name in self.record.get("overview", ()) if name in self.metrics]

    @property
    def bitrate(self) -> float:
        """Nominal bit/s of the spec, without bits_once; NaN where the rate varies."""
        books = [*self.tokenizer["codebooks"], *self.tokenizer.get("side", ())]
        return sum(math.nan if rate is None else rate * math.log2(size) for size, rate, *_ in books)

    @property
    def bits_once(self) -> float:
        """Nominal bits that an utterance costs whatever its length."""
        once = sum(math.log2(size) for size, rate, *_ in self.tokenizer.get("side", ()) if rate == 0)
        return once + (0 if self.tokenizer.get("keeps_level", True) else LEVEL_BITS)

    @property
    def reference(self) -> bool:
        """Whether it is a reference condition, whose codes are the samples of the original, of a filtered or of another clip."""
        return any(size > LARGEST_COUNTED for size, _ in self.tokenizer["codebooks"])

    @cached_property
    def scores(self) -> dict[tuple[str, str], dict[str, Row]]:
        """(domain, metric) -> clip -> its row, of the suite's columns."""
        found: dict[tuple[str, str], dict[str, Row]] = {(d, name): {} for d in DOMAINS for name in self.metrics}
        for row in self.rows:
            if (row.domain, row.metric) in found:
                found[row.domain, row.metric][row.clip] = row
        return {place: rows for place, rows in found.items() if rows}

    @property
    def unfinished(self) -> int:
        """Clips that have no rows yet."""
        return self.record["clips"] - len({row.clip for row in self.rows if row.metric == LAST})


def _metric(f: Mapping) -> Metric:
    facts = (f["name"], f["unit"], f["better"], {}, f["tolerance"], None)
    rare = {name: f.get(name, False) for name in ("fixed", "raw", "cut")}
    return Metric(*facts, per=f["per"], span=_span(f), **rare)


def _span(fact: Mapping) -> tuple[float, float]:
    """Where the scores are; null is no bound, and so is a span that an older version did not state."""
    low, high = fact.get("span", (None, None))
    return -math.inf if low is None else low, math.inf if high is None else high


def fingerprint(identity: Mapping) -> dict[str, object]:
    """All of an identity but the tokenizer and the machine."""
    return {key: value for key, value in identity.items() if key not in ("tokenizer", "code", "machine")}


def read(folder: Path) -> Kept:
    """The run in a folder; `folder` may be its rows.csv."""
    folder = folder.parent if folder.name == "rows.csv" else folder
    return Kept(folder, record_of(folder), _rows(folder / "rows.csv"))


def unfinished(folder: Path, record: Mapping) -> int:
    """Clips of a run in a folder that have no rows yet, however many have."""
    return record["clips"] - len({row.clip for row in each_row(folder / "rows.csv") if row.metric == LAST})


def folders(results: Path, suites: Sequence[str] = ()) -> list[Path]:
    """Every run folder below results, of those suites if any are named; UserError where there is none."""
    everywhere = [path.parent for path in results.glob("*/*/run.json") if _FOLDER.fullmatch(path.parent.name)]
    everywhere.sort(key=lambda folder: (folder.parent.name, natural(label_of(folder)), folder.name))
    chosen = [folder for folder in everywhere if not suites or folder.parent.name in suites]
    if not chosen:
        others = ", ".join(sorted({folder.parent.name for folder in everywhere}))
        cure = f"there are runs of {others}: choose with --suite, or" if others else "make one with bench run, or"
        wanted = f"of the suite {' or '.join(suites)} " if suites else ""
        raise UserError(f"no run {wanted}in {results}: {cure} name another folder with --results")
    return chosen


def natural(label: str) -> list[tuple[str, float]]:
    """A key that sorts opus@6kbps before opus@12kbps."""
    parts = re.split(r"(\d+(?:\.\d+)?)", label)
    return [(text, float(number)) for text, number in zip(parts[::2], [*parts[1::2], "0"], strict=True)]


def label_of(folder: Path) -> str:
    """The tokenizer's label in the name of a run folder."""
    return folder.name[: -len("-01234567")]


def named_folder(operand: str) -> Path | None:
    """The run folder that an operand is a path of; None: it is no path. UserError for a path of something else."""
    path = Path(operand)
    if path.name == "rows.csv":
        return path.parent
    if (path / "run.json").is_file():
        return path
    if path.exists() or path.suffix == ".py":
        raise UserError(f"{operand} is no run: name a folder that holds run.json and rows.csv, or a tokenizer by the label in its table")
    return None


def refuse_twins(chosen: Sequence[Path]) -> None:
    """UserError where one tokenizer has several runs in one suite: which of them is meant, only the user knows."""
    groups: dict[tuple[str, str], list[Path]] = {}
    for folder in chosen:
        groups.setdefault((folder.parent.name, label_of(folder)), []).append(folder)
    for (suite, label), twins in groups.items():
        if len(twins) > 1:
            facts = [(folder, record_of(folder)) for folder in twins]
            listed = ", ".join(f"{folder} ({record['data_name']}, {record['clips']} clips)" for folder, record in facts)
            raise UserError(f"{label} has {len(twins)} runs of the suite {suite}: name the folder of one: {listed}")


def record_of(folder: Path) -> Mapping:
    """The run.json of a run; UserError where it is none."""
    path = folder / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}): rows mean nothing without it, give the whole folder of a run") from error
    check_record(record, str(path))
    return record


def check_record(record: object, where: str) -> None:
    """UserError for what is no run.json, or one that was changed by hand."""
    lacking = [key for key in ("key", "identity", "metrics", "data_name", "clips") if not isinstance(record, dict) or key not in record]
    if lacking:
        raise UserError(f"{where}: lacks {', '.join(lacking)}: it is of another version; make the run again with bench run --fresh")
    assert isinstance(record, dict)
    if key_of(record["identity"]) != record["key"]:
        raise UserError(f"{where}: its key is not that of its identity: it was changed by hand; make the run again with bench run --fresh")


def _rows(path: Path) -> list[Row]:
    try:
        return read_rows(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}): make the run again with bench run --fresh") from error


def unlike(a: Kept, b: Kept, any_seed: bool = False) -> list[str]:
    """How two fingerprints differ, a line of words each; empty: the scores may be compared.

    `any_seed`: two seeds are no difference where a decoder that draws noise is all that they can have changed.
    """
    ours, theirs = a.fingerprint, b.fingerprint
    drawn = any_seed and a.suite in SEEDLESS and any(run.tokenizer.get("sampled") for run in (a, b))
    return [
        f"{CALLED.get(key, key)} ({_short(key, a)} and {_short(key, b)})"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key) and not (drawn and key == "seed")
    ]


def _short(key: str, run: Kept) -> str:
    value = run.fingerprint.get(key, "none")
    if key == "data":
        return f"{str(value)[:8]}: {run.record['data_name']}, {run.record['clips']} clips"
    return str(value)


def refuse_unlike(runs: Iterable[Kept], any_seed: bool = False) -> None:
    """UserError where the scores of some runs cannot be compared with those of the first; `any_seed` as in `unlike`."""
    first, *rest = runs
    for other in rest:
        if different := unlike(first, other, any_seed):
            raise UserError(f"{first.where} and {other.where} cannot be compared, they differ in {'; '.join(different)}: run both alike")


def place(facts: Mapping[str, object]) -> str:
    """What a timed run says of its machine, as a few words."""
    threads = facts["threads"]
    words = [f"{facts['processor']} ({facts['device']})", f"{threads} thread{'s' * (threads != 1)}", f"torch {facts['torch']}"]
    return ", ".join(words + ([f"driver {facts['driver']}"] if "driver" in facts else []))


def names(runs: Sequence[Kept]) -> list[str]:
    """What each run is called in a table: its label, with its key where two share it, its seed or machine where there are several; random
    weights are called what they are."""
    seeds = len({run.identity["seed"] for run in runs}) > 1  # of a decoder that draws noise, they are part of what was heard
    labels = [run.label + (f" (seed {run.identity['seed']})" if seeds and run.tokenizer.get("sampled") else "") for run in runs]
    called = [label if labels.count(label) == 1 else f"{label}-{run.key}" for label, run in zip(labels, runs, strict=True)]
    several = len({run.machine for run in runs}) > 1
    places = [f" on {run.machine}" if several else "" for run in runs]
    return [name + ("" if run.trained else " (untrained)") + place for name, run, place in zip(called, runs, places, strict=True)]
