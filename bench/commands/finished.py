"""The runs that bench run asks for, where all are there already: then it answers without torch, whose import takes longer than the rest."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from bench.api import Data
from bench.catalog import index, names
from bench.records.finished import Run, finished
from bench.records.options import Options
from bench.throughput.sweep import DTYPES

ASKING = ("_model", "_options")  # how flags end that make another suite of one
CHANGING = ("sweep", "weights", "untrained", "save_audio", "shard", "fresh")
HERE = ("auto", "cpu")


def runs(options: argparse.Namespace, chosen: Sequence[str], data: Mapping[str, Data]) -> list[Run] | None:
    """By suite, then by tokenizer; None where one is not there, or where that cannot be known without importing a suite or a tokenizer."""
    suites = [index.suite(name) for name in chosen]
    labels = names.tokenizers(options.tokenizer)
    asked = any(value for flag, value in vars(options).items() if flag.endswith(ASKING) or flag in CHANGING)
    changed = asked or options.dtype != DTYPES[0] or options.device not in HERE
    if changed or any(suite.evaluators or suite.timed for suite in suites) or any(names.FILE.fullmatch(label) for label in labels):
        return None
    how = Options(options.results, seed=options.seed)
    found = [finished(names.variant(label), suite.suite(), data[suite.name], how) for suite in suites for label in labels]
    there = [run for run in found if run is not None]
    return there if len(there) == len(found) else None
