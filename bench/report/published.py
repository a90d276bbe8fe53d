"""Scores that papers and public comparisons state: published, not measured here. All are in published.csv, each with its source.

A line is a system as its source calls it, the tokenizer of this project that is the same one ("" where there is none), data, clips (0: not
stated), what was measured, and the value; shares are plain, from 0 to 1. `pesq_wb`, `pesq_nb`, `stoi` and `mel_dac` are columns of this
project. The others are defined as their evaluator defines them: UTMOS22 strong, the word error rate of facebook/hubert-large-ls960-ft
with greedy decoding, the cosine of WavLM-large fine-tuned for speaker verification. A difference is stated beside a run of the same
tokenizer on the same clips, and beside nothing else.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from bench.records.reader import Kept
from bench.statistics.bootstrap import summarise

FILE = Path(__file__).with_suffix(".csv")
TITLE = "published, not measured here"
MEASURES = {  # what was measured -> what a table calls it, the column that is the same (a pattern; "": none), digits that are shown
    "pesq_wb": ("PESQ-wb", "pesq_wb", 2),
    "pesq_nb": ("PESQ-nb", "pesq_nb", 2),
    "stoi": ("STOI", "stoi", 2),
    "utmos": ("UTMOS", "utmos*", 2),
    "wer_hubert_large": ("WER % (HuBERT-large)", "wer_*hubert*large*ls960*", 2),
    "spk_sim_wavlm_large": ("speaker sim. (WavLM-large)", "", 2),
    "mel_dac": ("mel dist.", "mel_dac", 2),
}
PER_CENT = "wer_hubert_large"


@dataclass(frozen=True)
class Published:
    """One line of the file."""

    system: str
    tokenizer: str
    data: str
    clips: int
    measure: str
    value: float
    source: str

    @property
    def shown(self) -> str:
        """The value as tables have it."""
        return shown(self.measure, self.value)

    def same_data(self, run: Kept) -> bool:
        """Whether a run heard these very clips: a folder of them has the last part of the name, and all of them must be there."""
        last = str(run.record["data_name"]).rpartition("/")[2]
        return self.clips > 0 and last == self.data.rpartition("/")[2] and int(run.record["clips"]) == self.clips


@dataclass(frozen=True)
class Beside:
    """A published score, and that of a run of the same tokenizer on the same clips; NaN where there is none."""

    published: Published
    measured: float

    @property
    def difference(self) -> float:
        """Measured minus published, in the unit of the file."""
        return self.measured - self.published.value


def shown(measure: str, value: float, sign: str = "") -> str:
    """A value, or with `sign` "+" a difference, as tables have it; "" of NaN."""
    if math.isnan(value):
        return ""
    scale = 100 if measure == PER_CENT else 1
    return f"{scale * value:{sign}.{MEASURES[measure][2]}f}"


@cache
def published() -> tuple[Published, ...]:
    """Every line, in the order of the file."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Published(**{**line, "clips": int(line["clips"]), "value": float(line["value"])})  # type: ignore[arg-type]
            for line in csv.DictReader(file)
        )


def of(tokenizer: str) -> list[Published]:
    """What is published of a tokenizer, by its label."""
    return [one for one in published() if one.tokenizer == tokenizer]


def beside(found: Iterable[Published], runs: Sequence[Kept]) -> list[Beside]:
    """Each published score with what the runs measured."""
    return [Beside(one, _measured(one, runs)) for one in found]


def _measured(one: Published, runs: Sequence[Kept]) -> float:
    pattern = MEASURES[one.measure][1]
    for run in runs:
        if run.label != one.tokenizer or not one.same_data(run):
            continue
        columns = sorted((m for m in run.metrics.values() if fnmatchcase(m.name, pattern)), key=lambda m: len(m.name))
        for summary in summarise([row for row in run.rows if row.metric == columns[0].name], columns[:1]) if columns else ():
            return summary.mean
    return math.nan


@dataclass(frozen=True)
class Table:
    """The published scores of one data set by one source, a line for each system."""

    data: str
    clips: int
    source: str
    measures: tuple[str, ...]
    lines: tuple[tuple[str, str, tuple[Beside | None, ...]], ...]  # system, tokenizer, a score for each measure

    @property
    def heads(self) -> list[str]:
        return [MEASURES[name][0] for name in self.measures]


def tables(found: Sequence[Beside]) -> list[Table]:
    """Scores by source and data."""
    groups: dict[tuple[str, str, int], list[Beside]] = {}
    for one in found:
        groups.setdefault((one.published.source, one.published.data, one.published.clips), []).append(one)
    return [_table(source, data, clips, group) for (source, data, clips), group in groups.items()]


def _table(source: str, data: str, clips: int, group: Sequence[Beside]) -> Table:
    measures = tuple(name for name in MEASURES if any(one.published.measure == name for one in group))
    systems = dict.fromkeys((one.published.system, one.published.tokenizer) for one in group)
    scores = {(one.published.system, one.published.measure): one for one in group}
    lines = tuple((system, label, tuple(scores.get((system, name)) for name in measures)) for system, label in systems)
    return Table(data, clips, source, measures, lines)
