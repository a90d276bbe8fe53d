"""bench runs: list the runs of a folder, and remove those that are not needed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments
from bench.commands.arguments import console

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs
    from bench.records.choose import Head

EXAMPLES = """examples:
  bench runs                                 every run: suite, tokenizer, data, clips, when, state
  bench runs list mimi --suite codes
  bench runs prune                           what would go: unfinished runs, and all but the newest of equals
  bench runs prune --yes                     takes it away
  bench runs prune 'mimi@*' --all --yes      every run of these tokenizers"""


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "runs", runs, "list the runs in a folder, or prune those that nothing reads", EXAMPLES)
    verb.add_argument("what", nargs="?", choices=("list", "prune"), default="list", help="(default: list)")
    verb.add_argument("tokenizer", nargs="*", metavar="NAME", help="only these tokenizers (default: all)")
    verb.add_argument("--suite", action="append", default=[], metavar="NAME", help="only these suites (default: all)")
    arguments.results(verb)
    verb.add_argument("--all", action="store_true", help="prune: every run named, not only unfinished ones and older equals")
    verb.add_argument("--yes", action="store_true", help="prune: delete (default: only say what would go)")
    verb.add_argument("--json", action="store_true", help="list: as JSON")


def runs(options: argparse.Namespace) -> int:
    """bench runs"""
    heads = _named(options)
    if options.what == "prune":
        return _prune(options, heads)
    if options.json:
        json.dump([_facts(head) for head in heads], sys.stdout, indent=1)
        print()
        return 0
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table("suite", "tokenizer", "data", "clips", "started", "state", "key", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        facts = _facts(head)
        table.add_row(*(Text(str(facts[key])) for key in ("suite", "tokenizer", "data", "clips", "started", "state", "key")))
    console().print(table)
    return 0


def _facts(head: Head) -> dict[str, str | int]:
    """One run, in words."""
    record = head.record
    return {
        "suite": record["identity"]["suite"],
        "version": record["identity"]["version"],
        "tokenizer": "{name}@{variant}".format(**record["identity"]["tokenizer"]) + ("" if head.trained else " (untrained)"),
        "data": record["data_name"],
        "clips": record["clips"],
        "started": str(record.get("started", "")).replace("T", " ")[:16],
        "state": "finished" if head.finished else "unfinished",
        "key": record["key"][:8],
        "folder": str(head.folder),
    }


def _named(options: argparse.Namespace) -> list[Head]:
    """The runs of the tokenizers and suites that are named; UserError for a name that none has."""
    from bench.catalog import names
    from bench.records import choose

    found = choose.heads(options.results, options.suite)
    words = names.split(options.tokenizer) if options.tokenizer else ["*"]
    chosen = {label for word in words for label in choose.labels_of(word, found, options.results)}
    return [head for head in found if head.label in chosen]


def _prune(options: argparse.Namespace, heads: Sequence[Head]) -> int:
    import shutil

    if options.all and not options.tokenizer:
        raise UserError("--all takes every run away: name the tokenizers, as in bench runs prune 'mimi@*' --all")
    gone = list(heads) if options.all else _superfluous(heads)
    for head in gone:
        facts = _facts(head)
        print(f"{'removed' if options.yes else 'would go'}: {head.folder} ({facts['data']}, {facts['clips']} clips, {facts['state']})")
        if options.yes:
            try:
                shutil.rmtree(head.folder)
            except OSError as error:
                raise UserError(f"{head.folder}: {error.strerror}: what was removed is removed, the rest is as it was") from error
    if not gone:
        print("nothing to prune: every run is finished, and the newest of its kind")
    elif not options.yes:
        print(f"{len(gone)} of {len(heads)} runs; --yes removes them")
    return 0


def _superfluous(heads: Sequence[Head]) -> list[Head]:
    """Unfinished runs, and finished ones that a newer run of the same tokenizer on the same data stands before."""
    from bench.records.choose import newest_of

    twins: dict[tuple[str, str, bool], list[Head]] = {}
    for head in heads:
        if head.finished:
            twins.setdefault((head.label, head.alike, head.trained), []).append(head)
    kept = {newest_of(several).folder for several in twins.values()}
    return [head for head in heads if head.folder not in kept]
