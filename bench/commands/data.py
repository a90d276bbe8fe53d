"""bench data: public data sets by name: what there is, what is known of one, and getting it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments
from bench.commands.arguments import console

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs

EXAMPLES = """examples:
  bench data list                                     every set that has a name: clips, speakers, size, licence, whether it is here
  bench data show librispeech/test-clean
  bench data fetch librispeech/test-clean             a stopped fetch goes on where it was
  bench data fetch 'hf://facebook/multilingual_librispeech/german:test[:200]'
  bench run --tokenizer mimi --data librispeech/test-clean:200@seed=1 --data-root /corpora"""


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "data", data, "list, show or fetch public data sets by name", EXAMPLES)
    verb.add_argument("what", choices=("list", "show", "fetch"), help="list all, show what is known of one, or get it onto this machine")
    verb.add_argument("name", nargs="*", metavar="NAME", help="librispeech/test-clean, hf://OWNER/NAME:SPLIT, ...; of list: parts of names")
    arguments.data_root(verb)
    arguments.licence(verb)
    verb.add_argument("--json", action="store_true", help="of list and show: as JSON")


def data(options: argparse.Namespace) -> int:
    """bench data"""
    if options.what != "list" and not options.name:
        raise UserError(f"bench data {options.what} needs a name: bench data list has them")
    return {"list": _list, "show": _show, "fetch": _fetch}[options.what](options)


def _list(options: argparse.Namespace) -> int:
    from bench.report import describe, formats

    header, lines = describe.data_sets()
    if options.name:
        lines = [line for line in lines if any(word.casefold() in line[0] for word in options.name)]
    if not lines:
        raise UserError(f"no data with {options.name[0]!r} in their names: bench data list lists all")
    if options.json:
        _print_json([dict(zip(header, line, strict=True)) for line in lines])
    else:
        formats.listing(header, lines, console())
    return 0


def _show(options: argparse.Namespace) -> int:
    from bench.report import described_data

    found = [described_data.facts(name) for name in options.name]
    if options.json:
        _print_json(found)
        return 0
    for number, facts in enumerate(found):
        width = max(map(len, facts))
        print("\n" * (number > 0), end="")
        for name, value in facts.items():
            print(f"{name:<{width}}  {value}")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from bench.data.manifests import told_data

    for name in options.name:
        found = told_data(name)
        speakers = len({clip.speaker for clip in found.clips if clip.speaker})
        print(f"{found.name}: {len(found.clips)} clips, {speakers} speakers, sha256 {found.sha256[:8]}")
    return 0


def _print_json(facts: object) -> None:
    import json

    json.dump(facts, sys.stdout, indent=1, ensure_ascii=False)
    print()
