"""bench leaderboard: generate leaderboards from committed runs, and validate what is added."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments
from bench.commands.progress import progress

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs


EXAMPLES = """examples:
  bench leaderboard --check
  bench leaderboard --run reconstruction --downloads --data open --results results/official/open --out leaderboards/official/open
  bench leaderboard --add results/reconstruction/my_codec@8bit-0ae45940 --author 'A. Name <a@name.example>'"""


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(
        verbs, "leaderboard", leaderboard, "generate leaderboards from committed runs; --add validates and adds a run", EXAMPLES
    )
    verb.add_argument(
        "--add", action="append", default=[], type=Path, metavar="RUN", help="validate a run folder and add it; may be repeated"
    )
    verb.add_argument(
        "--again",
        action=argparse.BooleanOptionalAction,
        help="with --add: rerun it here and refuse scores that are not reproduced (default: --again; timings are never rerun)",
    )
    verb.add_argument("--author", default="", metavar="NAME", help="with --add: who submits it, as 'NAME <ADDRESS>'")
    verb.add_argument("--source", default="", metavar="URL", help="with --add: paper or repository (default: that of its Spec)")
    verb.add_argument("--licence", default="", metavar="NAME", help="with --add: of weights or library (default: that of its Spec)")
    verb.add_argument(
        "--run",
        action="append",
        default=[],
        metavar="SUITE[:EVALUATOR]",
        help="first run what is missing, for every bundled or classical tokenizer (of codes and lm with options: lm:next); may be repeated",
    )
    verb.add_argument(
        "--tokenizer", action="append", default=[], metavar="NAME", help="with --run: only these, labels, families or 'opus@*'"
    )
    verb.add_argument(
        "--data", metavar="NAME", help="with --run: a set that has a name, as open, a manifest or a folder (default: each suite's own)"
    )
    arguments.data_root(verb)
    verb.add_argument("--downloads", action="store_true", help="with --run: also tokenizers whose weights are pinned and fetched first")
    arguments.device(verb)
    arguments.licence(verb)
    verb.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the leaderboards are out of date")
    verb.add_argument(
        "--results", type=Path, default=Path("results/boards"), metavar="DIR", help="the committed runs (default: results/boards)"
    )
    verb.add_argument("--out", type=Path, default=Path("leaderboards"), metavar="DIR", help="output folder (default: leaderboards)")
    verb.add_argument("--readme", type=Path, metavar="FILE", help="README whose marked tables are updated (default: README.md beside DIR)")
    verb.add_argument("--no-audio", action="store_true", help="do not render listening samples; existing ones stay")
    arguments.verbosity(verb)


def leaderboard(options: argparse.Namespace) -> int:
    """bench leaderboard"""
    from bench.leaderboard.build import Places, check, write

    places = Places(options.results, options.out, options.readme or options.out.parent / "README.md")
    for flag in ("tokenizer", "data", "downloads"):
        if getattr(options, flag) and not options.run:
            raise UserError(f"--{flag} belongs to --run: name a suite with it")
    for flag in ("again", "author", "source", "licence"):
        if getattr(options, flag) not in (None, "") and not options.add:
            raise UserError(f"--{flag} belongs to --add: name a run's folder")
    if options.check:
        if options.add or options.run:
            raise UserError("--check writes nothing, and --add and --run do: leave them out")
        problems = check(places)
        print(*problems, sep="\n")
        print(f"{len(problems)} stale: make them again with bench leaderboard" if problems else f"{options.out}: as the runs have it")
        return 1 if problems else 0
    if options.run:
        _run(options)
    if options.add:
        _add(options)
    for line in write(places, audio=not options.no_audio):
        print(line)
    return 0


def _add(options: argparse.Namespace) -> None:
    """Runs that were made elsewhere, all checked before the first one enters."""
    from bench.engine.worker_pool import start_server

    again = options.again is not False
    if again:
        start_server("bench.metrics")
    from bench.catalog import index
    from bench.leaderboard import credit, submission

    runs = []
    with progress(options) as report:
        for folder in options.add:
            run = submission.checked(folder, progress=report)
            said = credit.credit(run, options.author, options.source, options.licence, again and not index.suite(run.suite).timed)
            if again:
                submission.checked(folder, again, report)
            runs.append(credit.stated(run, said))
    for run in runs:
        print(f"added: {submission.add(run, options.results)}")
    for line in dict.fromkeys(credit.missing_suites(run, options.results) for run in runs):
        if line:
            arguments.note(options, line)


def _run(options: argparse.Namespace) -> None:
    """Every tokenizer of the boards through some suites."""
    from bench.engine.run import Options
    from bench.engine.worker_pool import start_server
    from bench.records.devices import device_of, refuse_word

    refuse_word(options.device)
    named = [words.partition(":") for words in options.run]
    start_server("bench.metrics", *(f"bench.tasks.{suite}" for suite, _, _ in named))
    from bench.leaderboard.entries import Wanted, run

    wanted = Wanted([(suite, judge) for suite, _, judge in named], options.tokenizer, options.data, options.downloads)
    with progress(options) as report:
        for line in run(wanted, Options(options.results, device_of(options.device)), report):
            print(line, flush=True)
