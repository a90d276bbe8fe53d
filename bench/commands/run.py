"""bench run: tokenizers through a suite, ending in a table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import Suite, UserError
from bench.commands import terminal
from bench.commands.arguments import console, device_of, positive, progress_bar, variants_of
from bench.throughput.sweep import DTYPES

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs
    from bench.engine.run import Run


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = verbs.add_parser("run", help="tokenizers through a suite, ending in a table; goes on where it was stopped")
    verb.set_defaults(verb=run)
    verb.add_argument(
        "--tokenizer", action="append", required=True, metavar="NAME", help="family, family@variant or ./file.py; may be repeated"
    )
    verb.add_argument("--suite", default="reconstruction", metavar="NAME", help="what to measure (default: reconstruction)")
    verb.add_argument("--data", metavar="DATA", help="an embedded set, a manifest.jsonl or a folder of audio (default: the suite's own)")
    verb.add_argument("--limit", type=positive, metavar="N", help="only N clips, spread over the domains")
    verb.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (default: auto, cuda where there is one)")
    verb.add_argument(
        "--dtype",
        choices=DTYPES,
        default=DTYPES[0],
        help=f"precision of the tokenizer, by autocast (default: {DTYPES[0]}); in another one it is a tokenizer of its own, NAME-DTYPE",
    )
    verb.add_argument("--workers", type=positive, metavar="N", help="processes that score (default: one a core)")
    verb.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    verb.add_argument("--weights", type=Path, metavar="FILE", help="a checkpoint of your own for the one tokenizer named")
    verb.add_argument(
        "--untrained", action="store_true", help="random weights in place of a download: as fast and as large, but scores mean nothing"
    )
    verb.add_argument("--asr-model", metavar="NAME", help="of --suite asr: the recognizer, a name or a file (default: its own)")
    verb.add_argument("--speaker-model", metavar="NAME", help="of --suite speaker: the encoder, a name or a path (default: its own)")
    verb.add_argument(
        "--sweep",
        metavar="POINTS",
        help="of --suite throughput: small (default), full, or as 'batch=1,8,max seconds=1,10 dtype=bfloat16 mode=compiled'",
    )
    verb.add_argument("--save-audio", type=Path, metavar="DIR", help="keep originals and reconstructions as WAV files")
    verb.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="where rows are kept (default: results)")
    verb.add_argument("--fresh", action="store_true", help="forget the rows of earlier runs of the same thing")
    verb.add_argument("--fail-fast", action="store_true", help="stop at the first clip on which a tokenizer fails")
    verb.add_argument("--allow-failures", action="store_true", help="exit code 0 also where a tokenizer failed on some clips")
    verb.add_argument("--format", choices=("table", "markdown", "csv"), default="table", help="of what is printed (default: table)")
    verb.add_argument(
        "--columns", default="", metavar="A,B,...", help="metrics to print in a table or markdown, all are kept (default: all)"
    )


def run(options: argparse.Namespace) -> int:
    """bench run"""
    from bench.engine.worker_pool import start_server

    if options.suite != "throughput":  # there is no work for others, and their imports would disturb what is timed
        start_server("bench.metrics", f"bench.tasks.{options.suite}")
    from rich.console import Console

    from bench import registry
    from bench.data.manifests import told_data
    from bench.engine.autocast import lowered
    from bench.engine.run import Options
    from bench.engine.run import run as engine
    from bench.plugins.streams import stdout_to_stderr

    suite = _suite(options)
    columns = [name.strip() for name in options.columns.split(",") if name.strip()]
    for name in columns:
        if name not in (known := [metric.name for metric in suite.metrics]):
            raise registry.unknown("metric", name, known)
    variants = variants_of(options.tokenizer, options.weights)
    if options.untrained:
        if options.weights:
            raise UserError("--untrained and --weights exclude each other: leave one out")
        variants = [registry.untrained(variant, options.seed) for variant in variants]
    variants = [lowered(variant, options.dtype) for variant in variants]
    data = told_data(options.data or suite.data, options.limit)
    device, workers = device_of(options.device), options.workers or 0
    how = Options(options.results, device, workers, options.seed, options.save_audio, options.fresh, options.fail_fast)
    with stdout_to_stderr(), progress_bar(Console(stderr=True)) as progress:
        runs = list(engine(variants, suite, data, how, progress))
    _print_failures(runs)
    _print_odd_files(runs)
    _print_runs(runs, options.format, columns)
    return 1 if any(run.failed for run in runs) and not options.allow_failures else 0


def _suite(options: argparse.Namespace) -> Suite:
    from bench import registry

    suite = registry.load_suite(options.suite)
    for name in ("asr", "speaker"):
        if judge := getattr(options, f"{name}_model"):
            if suite.name != name or suite.with_judge is None:
                raise UserError(f"--{name}-model belongs to --suite {name}, not to {suite.name}: leave it out, or name that suite")
            suite = suite.with_judge(judge)
    if suite.sweep and options.dtype != DTYPES[0]:
        raise UserError(f"the {suite.name} suite has precisions among its points: ask for --sweep 'dtype={options.dtype}', not --dtype")
    if options.sweep:
        if suite.with_sweep is None:
            raise UserError(f"--sweep belongs to --suite throughput, not to {suite.name}: leave it out, or name that suite")
        suite = suite.with_sweep(options.sweep)
    return suite


def _print_failures(runs: list[Run]) -> None:
    """A line on stderr for each tokenizer that failed on a clip: stdout may be a CSV."""
    for run in runs:
        if run.failed:
            count, why = f"{len(run.failed)} of {len(run.data.clips)} clips", next(iter(run.failed.values()))
            terminal.say(f"{run.variant.spec.label} failed on {count} ({why}): the same command tries them again", red=True)


def _print_odd_files(runs: list[Run]) -> None:
    """A line on stderr for each thing that is odd in files which were heard in spite of it, the most frequent first."""
    from bench.records.writer import odd_files

    found = odd_files(row for run in runs for row in run.rows)
    for note, clips in found[:5]:
        named = ", ".join(clips[:3]) + (f" and {len(clips) - 3} more" if len(clips) > 3 else "")
        print(f"note: {named}: {note}", file=sys.stderr)
    if left := {clip for _, clips in found[5:] for clip in clips}:
        print(f"note: {len(left)} more clips have a note in the rows called seconds", file=sys.stderr)


def _print_runs(runs: list[Run], style: str, columns: list[str]) -> None:
    from bench.report import tables

    for run in runs:
        tables.save(run)
    if style == "csv":
        tables.to_csv(runs, sys.stdout)
    elif style == "markdown":
        tables.to_markdown(runs, sys.stdout, columns)
    else:
        tables.to_terminal(runs, console(), columns)
        for run in runs:
            terminal.say(f"rows: {run.folder / 'rows.csv'}")
    sys.stdout.flush()
