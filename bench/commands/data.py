"""bench data: public data sets by name: what there is, what is known of one, getting it; and recordings made ready to train on."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments
from bench.commands.arguments import console
from bench.commands.terminal import several

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs

EXAMPLES = """examples:
  bench data list                                     every set that has a name: clips, speakers, size, licence, whether it is here
  bench data show librispeech/test-clean
  bench data fetch librispeech/test-clean             a stopped fetch goes on where it was
  bench data fetch 'hf://facebook/multilingual_librispeech/german:test[:200]'
  bench data prepare recordings/ --out ready/         one channel, ends without silence, one loudness: for bench train
  bench run --tokenizer mimi --data librispeech/test-clean:200@seed=1 --data-root /corpora"""


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "data", data, "list, show or fetch public data sets by name; prepare any for training", EXAMPLES)
    about = "list all, show what is known of one, get it onto this machine, or prepare it for training"
    verb.add_argument("what", choices=("list", "show", "fetch", "prepare"), help=about)
    about = "librispeech/test-clean, hf://OWNER/NAME:SPLIT, ...; of list: parts of names; of prepare: one set, manifest or folder"
    verb.add_argument("name", nargs="*", metavar="NAME", help=about)
    arguments.data_root(verb)
    arguments.licence(verb)
    verb.add_argument("--json", action="store_true", help="of list and show: as JSON")
    prepare = verb.add_argument_group("prepare")
    prepare.add_argument("--out", type=Path, metavar="DIR", help="output folder: audio/ and manifest.jsonl")
    prepare.add_argument("--loudness", default="-23", metavar="LUFS", help="loudness of each clip (default: -23), or 'keep'")
    about = "cut off at both ends what is so far below a clip's loudest 20 ms (default: 40; 0 cuts nothing)"
    prepare.add_argument("--silence", type=float, default=40.0, metavar="DB", help=about)
    prepare.add_argument("--rate", type=arguments.positive, metavar="HZ", help="sample rate (default: that of each recording)")
    prepare.add_argument("--shortest", type=float, default=0.5, metavar="S", help="leave out what is shorter after the cut (default: 0.5)")
    arguments.verbosity(prepare)


def data(options: argparse.Namespace) -> int:
    """bench data"""
    if options.what != "list" and not options.name:
        raise UserError(f"bench data {options.what} needs a name: bench data list has them")
    return {"list": _list, "show": _show, "fetch": _fetch, "prepare": _prepare}[options.what](options)


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
        print(f"{found.name}: {several(len(found.clips), 'clip')}, {several(speakers, 'speaker')}, sha256 {found.sha256[:8]}")
    return 0


def _prepare(options: argparse.Namespace) -> int:
    """Clips ready to train on, and what came of them."""
    if options.out is None or len(options.name) != 1:
        raise UserError("bench data prepare takes one data set and an output folder: bench data prepare recordings/ --out ready/")
    if not options.silence >= 0 or not options.shortest >= 0:
        raise UserError("--silence and --shortest must be 0 or more")
    level = None if options.loudness == "keep" else _number(options.loudness)
    from bench.commands.progress import progress
    from bench.data.manifests import told_data
    from bench.data.prepared import Preparation, prepare

    how = Preparation(level, options.silence, rate=options.rate, shortest=options.shortest)
    data = told_data(options.name[0])
    with progress(options) as report:
        made = prepare(data, options.out, how, report)
    print(f"{options.out}: {several(made.clips, 'clip')}, {made.seconds / 60:.1f} min; {made.cut:.1f} s of silence cut off")
    if made.held:
        print(f"softer than {level:g} LUFS: {several(made.held, 'clip')}, whose peaks would have been beyond full scale")
    for line in made.left_out:
        print(f"left out: {line}", file=sys.stderr)
    if any(clip.alignment for clip in data.clips):
        print("note: alignments are left out, as times have changed", file=sys.stderr)
    return 0


def _number(text: str) -> float:
    """--loudness in LUFS, below 0."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not -70 < found < 0:
        raise UserError(f"--loudness must be LUFS between -70 and 0, as -23, or 'keep', not {text!r}")
    return found


def _print_json(facts: object) -> None:
    import json

    json.dump(facts, sys.stdout, indent=1, ensure_ascii=False)
    print()
