"""bench merge: the shards of runs, made by bench run --shard i/n, into whole runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs

EXAMPLES = """examples:
  bench run --tokenizer mimi --data clips/ --shard 3/8         one of eight jobs, on any machine
  bench merge                                                  all eight in results/: one run, as if it had never been cut
  bench merge artifacts/*/results --results results            shards that were gathered from many machines"""


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "merge", merge, "merge the shards of runs (bench run --shard) into whole runs", EXAMPLES)
    verb.add_argument("folder", nargs="*", type=Path, metavar="DIR", help="results folders with shards (default: that of --results)")
    arguments.results(verb)


def merge(options: argparse.Namespace) -> int:
    """bench merge"""
    from bench.engine import merging

    done, wanting = merging.whole(options.folder or [options.results], options.results)
    for folder, record in done:
        print(f"merged {record['shard']['of']} shards, {record['shard']['clips']} clips: {folder / 'rows.csv'}")
    if wanting:
        raise UserError(f"not merged: {' | '.join(wanting)}: run those shards (bench run --shard i/n), then bench merge again")
    return 0
