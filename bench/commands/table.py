"""bench table: one table over the suites that tokenizers ran through."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from bench.api import DOMAINS, UserError
from bench.commands import arguments
from bench.commands.arguments import console

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs
    from bench.records.reader import Kept
    from bench.report.overview import Overview

EXAMPLES = """examples:
  bench table                                               every tokenizer in results/
  bench table 'opus@*' mimi --domain speech --format latex --caption "Speech" --label tab:speech
"""
FORMATS = ("table", "markdown", "latex", "csv", "json")


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "table", table, "one table over suites: bitrate, WER, speaker similarity, PESQ, speed ...", EXAMPLES)
    verb.add_argument("run", nargs="*", metavar="NAME", help="mimi, 'opus@*', a,b, or folders of runs (default: every tokenizer)")
    verb.add_argument("--suite", default="", metavar="A,B,...", help="only these suites (default: all that have runs)")
    arguments.results(verb)
    verb.add_argument("--data", metavar="NAME", help="only runs on this data set (default: of each suite the one that most have in common)")
    verb.add_argument("--domain", choices=DOMAINS, action="append", help="only this domain; may be repeated (default: all)")
    verb.add_argument(
        "--columns",
        default="",
        metavar="A,B,...",
        help="these metrics, in their order; 'headline' for more of each suite, 'all' for every one",
    )
    style(verb)


def style(verb: argparse.ArgumentParser) -> None:
    """The words for how a table over suites is written."""
    verb.add_argument("--format", choices=FORMATS, default="table", help="of what is printed (default: table)")
    verb.add_argument("--intervals", action="store_true", help="95 %% intervals beside the means")
    verb.add_argument("--caption", default="", metavar="TEXT", help="of --format latex: \\caption")
    verb.add_argument("--label", default="", metavar="NAME", help="of --format latex: \\label")


def table(options: argparse.Namespace) -> int:
    """bench table"""
    from bench.records.selection import alike
    from bench.report.overview import overview

    found = [run for run in named_runs(options) if options.data in (None, run.record["data_name"])]
    runs = alike(found)
    if not runs:
        raise UserError(f"no complete run in {options.results}: resume it with bench run, or choose with --results, --suite or --data")
    columns = arguments.words(options.columns)
    if columns == ["all"]:
        columns = list(dict.fromkeys(name for run in runs for name in run.metrics))
    kind = "headline" if columns == ["headline"] else "overview"
    write(overview(runs, [] if columns == ["headline"] else columns, kind), options, options.domain or DOMAINS, left_out(found, runs))
    return 0


def named_runs(options: argparse.Namespace) -> list[Kept]:
    """The runs that the words of a command name; all where it names none."""
    from bench.catalog import names
    from bench.records import choose, reader

    named = {word: reader.named_folder(word) for word in options.run}
    labels = [word for word, folder in named.items() if folder is None]
    words = names.split(labels) if labels else []
    chosen = [folder for folder in named.values() if folder]
    if words or not named:
        everywhere = reader.folders(options.results, arguments.words(options.suite))
        ran = list(dict.fromkeys(map(reader.label_of, everywhere)))
        wanted = set(ran if not words else [])
        for word in words:
            found = choose.means(word, ran)
            if not found:
                raise UserError(f"no run of {word} in {options.results}: make one with bench run, or choose with --suite")
            wanted |= set(found)
        chosen += [folder for folder in everywhere if reader.label_of(folder) in wanted and folder not in chosen]
    return [reader.read(folder) for folder in chosen]


def left_out(found: list[Kept], runs: list[Kept]) -> list[str]:
    """How many runs are not in the table, and why that is."""
    taken = {run.where for run in runs}
    others = [run for run in found if run.where not in taken]
    unfinished = sum(bool(run.unfinished) for run in others)
    out = [f"left out: {unfinished} run{'s' * (unfinished > 1)} that did not end; bench run resumes"] if unfinished else []
    older = len(others) - unfinished
    return out + ([f"left out: {older} older run{'s' * (older > 1)}, or on other data; choose with --data"] if older else [])


def write(shown: Overview, options: argparse.Namespace, domains: tuple[str, ...] | list[str], further: list[str]) -> None:
    """The table in the format asked for."""
    from bench.report import formats, latex, tidy
    from bench.report import overview as over

    below = [*over.notes(shown), *further]
    grids = over.grids(shown, domains, options.intervals)
    if options.format == "csv":
        tidy.to_csv(over.records(shown, domains), sys.stdout)
    elif options.format == "json":
        tidy.to_json(over.records(shown, domains), below, sys.stdout)
    elif options.format == "latex":
        latex.to_latex(grids, below, sys.stdout, caption=options.caption, label=options.label)
    elif options.format == "markdown":
        formats.to_markdown(grids, below, sys.stdout)
    else:
        screen = console()
        formats.to_terminal([part for grid in grids for part in formats.fitted(grid, screen.width)], below, screen)
    sys.stdout.flush()
