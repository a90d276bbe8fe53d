"""bench compare: compare runs, with intervals, p-values and BD-rates."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.api import DOMAINS, UserError
from bench.commands import arguments
from bench.commands.arguments import console
from bench.commands.table import style, write

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs
    from bench.compare.ladders import RateLine
    from bench.compare.lines import Comparison
    from bench.records.reader import Kept


EXAMPLES = """examples:
  bench compare mimi encodec 'opus@*'
  bench compare 'mimi@*' --reference opus@12kbps --columns pesq_wb,stoi --format latex
"""


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "compare", compare, "compare runs: paired differences with intervals and p-values, BD-rate", EXAMPLES)
    verb.add_argument(
        "run",
        nargs="+",
        metavar="NAME",
        help="mimi (its default variant), mimi@24khz, 'opus@*', a,b, kyutai/mimi (hub id), or the folder of a run; two or more",
    )
    verb.add_argument("--suite", default="reconstruction", metavar="NAME", help="suite of the runs (default: reconstruction)")
    arguments.results(verb)
    arguments.choice(verb)
    arguments.verbosity(verb)
    verb.add_argument("--reference", metavar="RUN", help="the run that others are compared with (default: the first)")
    verb.add_argument(
        "--columns",
        default="",
        metavar="A,B,...",
        help="these metrics, and with them the number of tests corrected for; all: every one (default: the suite's headline)",
    )
    verb.add_argument(
        "--by",
        choices=("domain", "sample-rate"),
        default="domain",
        help="group clips by domain only, or also by sample rate (default: domain)",
    )
    verb.add_argument("--bd-rate", default="", metavar="A,B,...", help="also compute BD-rate at equal quality in these metrics")
    style(verb)
    verb.add_argument(
        "--layout",
        choices=("wide", "paired"),
        default="wide",
        help="with --format latex: one line per tokenizer, the best in bold (wide, default), or paired differences with p-values",
    )


def compare(options: argparse.Namespace) -> int:
    """bench compare"""
    from bench.compare.ladders import ladders, rate_lines, usable
    from bench.compare.lines import compare as lines
    from bench.records import reader
    from bench.records.choose import choose
    from bench.report import writers

    words = [*options.run, *([options.reference] if options.reference else [])]
    choice = choose(words, options.results, options.suite, arguments.wish(options))
    runs, reference = choice.runs, 0
    if len(runs) < 2:
        raise UserError(f"only {runs[0].where} is named: name a second run to compare it with")
    if options.reference:
        folder = choice.of[options.reference][0]
        others = [where for word, where in choice.of.items() if word != options.reference]
        if options.reference not in options.run and not any(folder in where for where in others):
            runs.sort(key=lambda run: run.where != folder)  # named as the reference alone: it comes first
        reference = [run.where for run in runs].index(folder)
    reader.refuse_unlike(runs, any_seed=True)
    metrics = list(runs[0].metrics)
    columns = metrics if options.columns.strip() == "all" else _metrics(options.columns, metrics) or runs[0].headline
    found = ladders(runs)
    found.sort(key=lambda ladder: runs[reference] not in ladder.runs)  # the reference's ladder is the anchor
    wanted = _metrics(options.bd_rate, usable(list(runs[0].metrics.values())))
    if wanted and len(found) < 2:
        raise UserError("--bd-rate needs two codecs at three bitrates or more each: name more runs, as 'encodec@*' 'opus@*'")
    rates = rate_lines(found, [runs[0].metrics[name] for name in wanted])
    if options.format == "latex" and options.layout == "wide" and not wanted:
        from bench.report.overview import overview

        write(overview(runs, sorted(columns, key=lambda name: not runs[0].metrics[name].fixed)), options, DOMAINS, [])
        return 0
    comparison = lines(runs, reference, columns, _sample_rates(runs[0], options.data) if options.by == "sample-rate" else None)
    for line in filter(None, choice.notes or [choice.data]):
        arguments.note(options, line)
    hidden = len(metrics) - len(columns) if not options.columns else 0
    more = [f"{hidden} more column{'s' * (hidden > 1)}: --columns all"] if hidden else []
    _print(comparison, rates, [*writers.notes(comparison, rates, found), *more], options)
    return 0


def _metrics(words: str, known: Sequence[str]) -> list[str]:
    names = [name.strip() for name in words.split(",") if name.strip()]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f": did you mean {near[0]!r}?" if near else "."
            raise UserError(f"these runs have no such metric {name!r}{hint} Known: {', '.join(known)}")
    return names


def _sample_rates(run: Kept, source: str | None) -> dict[str, int]:
    """Clip -> Hz of its file, from the very data that the run was made with."""
    from bench.catalog import index
    from bench.data.audio import BadAudio, read_clip
    from bench.data.manifests import data_of

    name = source or run.record["data_name"]
    try:
        domains = index.suite(run.suite).domains if run.suite in index.stems("tasks") else DOMAINS
        data = data_of(name, run.record["clips"], domains, run.identity["seed"])
    except UserError as error:
        raise UserError(f"rows hold no sample rates: name the data that the runs were made with as --data ({error})") from error
    if data.sha256 != run.identity["data"]:
        raise UserError(f"{name} is not the data of {run.where} (sha256 {data.sha256[:8]}, not {run.identity['data'][:8]}): give --data")
    try:
        return {clip.id: read_clip(clip).sample_rate for clip in data.clips}
    except BadAudio as error:
        raise UserError(f"{name}: a clip's sample rate cannot be read ({error}): leave --by sample-rate out") from error


def _print(comparison: Comparison, rates: Sequence[RateLine], notes: Sequence[str], options: argparse.Namespace) -> None:
    from bench.report import formats, latex, writers

    grids = writers.grids(comparison, rates)
    if options.format == "csv":
        writers.to_csv(comparison, rates, sys.stdout)
    elif options.format == "json":
        writers.to_json(comparison, rates, notes, sys.stdout)
    elif options.format == "latex":
        latex.to_latex(grids, notes, sys.stdout, writers.LEFT, options.caption, options.label)
    elif options.format == "markdown":
        formats.to_markdown(grids, notes, sys.stdout, writers.LEFT)
    else:
        formats.to_terminal(grids, notes, console(), writers.LEFT)
    sys.stdout.flush()
