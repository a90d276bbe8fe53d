"""Finished runs: what tables are made of, and whether there is one of some identity already. Answers without torch, and without rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.api import Data, Row, Suite, Variant
from bench.data.clips import domains
from bench.records import digest
from bench.records.digest import Digest
from bench.records.identity import identity
from bench.records.options import Options
from bench.records.reader import place
from bench.records.writer import SEAL, folder_name, folder_of, key_of, noted, read_rows
from bench.statistics.bootstrap import Summary
from bench.weights.transfer import digest_of

SAME_CODES = "same_codes"  # in run.json
CPU_SECONDS = "cpu_seconds"  # in run.json, of a run in one go: the CPU time of all its processes


@dataclass(frozen=True)
class Run:
    """A finished run."""

    variant: Variant
    suite: Suite
    data: Data
    digest: Digest
    folder: Path
    fresh_clips: int  # scored now, rather than found in the results folder
    machine: str = ""  # where it was timed; "" of a suite that does not time
    same_codes: float | None = None  # of half precision: the share of codes that are those of float32, NaN where none could be compared
    notes: tuple[str, ...] = ()  # what the user should know of the files that were written

    @cached_property
    def rows(self) -> list[Row]:
        """All of them, read from the disk: a large run has millions."""
        return read_rows(self.folder / "rows.csv")

    @property
    def failed(self) -> dict[str, str]:
        """Clips on which the tokenizer failed -> why."""
        return self.digest.failed

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """Means with intervals, by domain and metric."""
        return self.digest.summaries


def label(variant: Variant) -> str:
    """Its name in the names of folders."""
    return folder_name(variant.spec.label)


def finished(variant: Variant, suite: Suite, data: Data, options: Options) -> Run | None:
    """The run that the engine would give without any work: nothing is asked anew, and all of its rows are as they were sealed."""
    if options.fresh or options.save_audio:
        return None
    facts = identity(variant, suite, data, options)
    folder = folder_of(options.results, suite.name, label(variant), facts) / options.part
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if record["key"] != key_of(facts) or digest_of(folder / "rows.csv", "sha256") != record[SEAL]:
            return None
    except (OSError, ValueError, KeyError):
        return None
    kept = digest.of_rows(folder / "rows.csv", suite.metrics)
    pooled = {domain for metric in suite.metrics if metric.per != "clip" for domain in metric.rates}
    lacking = not options.shard and domains(data.clips).keys() & pooled - {row.domain for row in kept.pooled}
    unproven = not options.shard and variant.exact and SAME_CODES not in record
    if kept.clips < len(options.clips(data)) or kept.failed or lacking or unproven:
        return None
    return Run(variant, suite, data, kept, folder, 0, _machine(facts), noted(record, SAME_CODES))


def _machine(facts: dict[str, object]) -> str:
    """Where it was timed, in words."""
    machine = facts.get("machine")
    return place(machine) if isinstance(machine, dict) else ""
