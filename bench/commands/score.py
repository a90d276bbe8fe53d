"""bench score: audio that is there already, through every suite that needs no codes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments
from bench.commands.arguments import note, positive
from bench.commands.progress import progress

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs

EXAMPLES = """examples:
  bench score --ref originals/ --est decoded/
  bench score --ref test/manifest.jsonl --est ours=ours/ --est theirs=theirs/ --suite reconstruction,asr
"""


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "score", score, "score audio files against their originals, without a tokenizer", EXAMPLES)
    verb.add_argument("--ref", required=True, metavar="DATA", help="originals: a folder, a manifest (for transcripts) or a set's name")
    arguments.data_root(verb)
    verb.add_argument(
        "--est",
        required=True,
        action="append",
        metavar="[NAME=]DIR",
        help="reconstructions, by the relative names of the originals, whatever their suffix; may be repeated: all are compared",
    )
    verb.add_argument(
        "--suite", action="append", metavar="NAME", help="reconstruction (default), asr, speaker, mcd, quality; a,b for several"
    )
    verb.add_argument("--asr-model", default="", metavar="NAME", help="ASR model of --suite asr (default: its own)")
    verb.add_argument("--speaker-model", default="", metavar="NAME", help="speaker encoder of --suite speaker (default: its own)")
    verb.add_argument("--quality-model", default="", metavar="A,B,...", help="evaluators of --suite quality (default: its own)")
    arguments.device(verb)
    arguments.licence(verb)
    verb.add_argument("--workers", type=positive, default=0, metavar="N", help="number of scoring processes (default: one per core)")
    verb.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    arguments.results(verb)
    verb.add_argument("--fresh", action="store_true", help="ignore the rows of earlier runs and score again")
    arguments.verbosity(verb)
    verb.add_argument("--format", choices=("table", "markdown", "csv", "json"), default="table", help="output format (default: table)")
    verb.add_argument("--columns", default="", metavar="A,B,...", help="columns to print in tables; all: every one (default: the headline)")


def score(options: argparse.Namespace) -> int:
    """bench score"""
    from bench.catalog import names
    from bench.records.devices import device_of, refuse_word

    chosen = names.chosen_suites(options.suite or ["reconstruction"])
    refuse_word(options.device)
    est = _folders(options.est)
    from bench.commands.run import print_runs
    from bench.engine.run import Options
    from bench.python.evaluate import scored, suites_of
    from bench.python.scored_audio import paired

    variants, data, notes = paired(options.ref, est)
    for line in notes:
        note(options, f"note: {line}")
    how = Options(options.results, device_of(options.device), options.workers, options.seed, fresh=options.fresh)
    with progress(options) as report:
        suites = suites_of(chosen, options.asr_model, options.speaker_model, options.quality_model)
        runs = scored(variants, data, suites, how, report)
    print_runs(runs, options, arguments.words(options.columns))
    sys.stdout.flush()
    return 0


def _folders(words: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for word in words:
        name, sign, folder = word.partition("=")
        path = Path(folder if sign else word)
        name = name if sign else path.resolve().name
        if name in found:
            raise UserError(f"--est {word}: two folders are called {name}: write NAME=DIR")
        found[name] = path
    return found
