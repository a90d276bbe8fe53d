"""Stored runs as DataFrames, comparisons and plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import Domain, UserError
from bench.records import reader
from bench.records.choose import means
from bench.records.reader import Kept
from bench.records.selection import alike
from bench.report import overview, tidy, writers

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

ROWS = ("tokenizer", "suite", "data", "run", "clip", "domain", "speaker", "metric", "value", "weight", "note")


@dataclass(frozen=True)
class Results:
    """Runs of tokenizers through suites; of each suite those that were made alike, one a tokenizer."""

    runs: tuple[Kept, ...]

    def to_dataframe(self) -> DataFrame:
        """Every row: one line per clip and metric; clip "*" is a value of the whole corpus."""
        from pandas import DataFrame

        lines = [
            (run.label, run.suite, run.record["data_name"], run.key, r.clip, r.domain, r.speaker, r.metric, r.value, r.weight, r.note)
            for run in self.runs
            for r in run.rows
        ]
        return DataFrame(lines, columns=list(ROWS))

    def summary(self) -> DataFrame:
        """One line per tokenizer, suite, domain and metric: weighted mean, 95 % interval, n, n_missing and speakers. NaN: missing."""
        from pandas import DataFrame

        lines = [tidy.plain(line) for run in self.runs for line in tidy.of_kept(run)]
        frame = DataFrame(lines, columns=list(tidy.COLUMNS))
        return frame.astype({name: float for name in ("mean", "low", "high", "trained_here_hours")})

    def table(self, domain: Domain = "speech", columns: Sequence[str] = ()) -> DataFrame:
        """One line per tokenizer, with the columns that stand for each suite, or those named: means, in the metrics' own units."""
        from pandas import DataFrame

        shown = overview.overview(self.runs, columns)
        found = {key: s.mean for key, s in shown.summaries.items() if key[1] == domain}
        lines = {label: {m.name: found.get((label, domain, m.name)) for m in shown.columns} for label in shown.labels}
        return DataFrame.from_dict(lines, orient="index", dtype=float).dropna(axis=1, how="all")

    def compare(self, reference: str = "", suite: str = "", columns: Sequence[str] = ()) -> DataFrame:
        """Paired differences from the reference (default: the first tokenizer) with intervals and p-values, by suite, domain and metric.

        `columns`: the metrics, and with them the number of tests that p_holm is corrected for; none named: the suite's headline.
        """
        from pandas import DataFrame

        from bench.compare.lines import compare

        lines = []
        for name in [suite] if suite else dict.fromkeys(run.suite for run in self.runs):
            runs = [run for run in self.runs if run.suite == name]
            if len(runs) < 2:
                raise UserError(f"there are {len(runs)} runs of the suite {name or 'named'}: two or more can be compared")
            chosen = _position(runs, reference) if reference else 0
            comparison = compare(runs, chosen, columns or runs[0].headline)
            lines += [tidy.plain(line) for line in writers.records(comparison, ())]
        numbers = ("mean", "low", "high", "difference", "difference_low", "difference_high", "p", "p_holm", "trained_here_hours")
        return DataFrame(lines, columns=list(writers.COLUMNS)).astype(dict.fromkeys(numbers, float))

    def plot(self, metric: str = "pesq_wb", domain: Domain = "speech", suite: str = "reconstruction") -> Figure:
        """Quality against measured bitrate, a line per family of codecs; needs matplotlib (extra: plot)."""
        from bench.plot.quality import figure

        runs = [run for run in self.runs if run.suite == suite]
        if not runs or metric not in runs[0].metrics:
            raise UserError(f"there is no run of the suite {suite} with the metric {metric}")
        return figure(runs, [runs[0].metrics[metric]], domain)

    def __repr__(self) -> str:
        suites = {name: [run.label for run in self.runs if run.suite == name] for name in dict.fromkeys(run.suite for run in self.runs)}
        return "Results(" + "; ".join(f"{name}: {', '.join(labels)}" for name, labels in suites.items()) + ")"

    def _repr_html_(self) -> str:
        return self.table(columns=()).to_html(float_format="{:.4g}".format) if self.runs else "no runs"


def _position(runs: Sequence[Kept], word: str) -> int:
    labels = [run.label for run in runs]
    found = means(word, labels)
    if len(found) != 1:
        raise UserError(f"{word!r} is no tokenizer of these results: name one of {', '.join(labels)}")
    return labels.index(found[0])


def load_results(folder: str | Path = "results", suites: str | Sequence[str] = ()) -> Results:
    """The finished runs below a folder that belong side by side: of each suite those on the data that most tokenizers ran on."""
    wanted = [suites] if isinstance(suites, str) else list(suites)
    return Results(tuple(alike(map(reader.read, reader.folders(Path(folder), wanted)))))
