"""The command line: one function a verb. Heavy imports wait inside the verbs, so that --help and a wrong flag answer at once.

Exit codes: 0 fine, 1 a check failed, 2 something the user can mend (one line says what), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bench.api import Suite, UserError, Variant

if TYPE_CHECKING:
    from rich.console import Console

    from bench.run import Progress, Run


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    try:
        options = _parser().parse_args(arguments)
        return options.verb(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: finished clips are kept, the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="bench", description="Audio tokenizers, measured: reconstruction quality against bits and tokens.")
    verbs = parser.add_subparsers(required=True, metavar="verb", parser_class=_Parser)

    verb = verbs.add_parser("run", help="tokenizers through a suite, ending in a table; goes on where it was stopped")
    verb.set_defaults(verb=run)
    verb.add_argument(
        "--tokenizer", action="append", required=True, metavar="NAME", help="family, family@variant or ./file.py; may be repeated"
    )
    verb.add_argument("--suite", default="reconstruction", metavar="NAME", help="what to measure (default: reconstruction)")
    verb.add_argument("--data", metavar="DATA", help="an embedded set, a manifest.jsonl or a folder of audio (default: the suite's own)")
    verb.add_argument("--limit", type=_positive, metavar="N", help="only N clips, spread over the domains")
    verb.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (default: auto, cuda where there is one)")
    verb.add_argument("--workers", type=_positive, metavar="N", help="processes that score (default: one a core)")
    verb.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    verb.add_argument("--weights", type=Path, metavar="FILE", help="a checkpoint of your own for the one tokenizer named")
    verb.add_argument("--asr-model", metavar="NAME", help="of --suite asr: the recognizer, a name or a file (default: its own)")
    verb.add_argument("--speaker-model", metavar="NAME", help="of --suite speaker: the encoder, a name or a path (default: its own)")
    verb.add_argument("--save-audio", type=Path, metavar="DIR", help="keep originals and reconstructions as WAV files")
    verb.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="where rows are kept (default: results)")
    verb.add_argument("--fresh", action="store_true", help="forget the rows of earlier runs of the same thing")
    verb.add_argument("--format", choices=("table", "markdown", "csv"), default="table", help="of what is printed (default: table)")
    verb.add_argument(
        "--columns", default="", metavar="A,B,...", help="metrics to print in a table or markdown, all are kept (default: all)"
    )

    verb = verbs.add_parser("list", help="what there is: tokenizers, suites, metrics or data")
    verb.set_defaults(verb=list_)
    verb.add_argument("what", choices=("tokenizers", "suites", "metrics", "data"))

    verb = verbs.add_parser("show", help="the facts of one tokenizer: rates, token budget, weights, licence, source")
    verb.set_defaults(verb=show)
    verb.add_argument("tokenizer")

    verb = verbs.add_parser("check", help="does a tokenizer keep the contract? exit code 1 if not")
    verb.set_defaults(verb=check)
    verb.add_argument("tokenizer", nargs="+")
    verb.add_argument("--device", default="auto", help="cpu, cuda, ... (default: auto)")
    verb.add_argument("--seed", type=int, default=0)
    verb.add_argument("--weights", type=Path, metavar="FILE", help="a checkpoint of your own for the one tokenizer named")

    verb = verbs.add_parser("train", help="the recipe behind the @mini weights: from recordings to a checkpoint, resumable at any step")
    verb.set_defaults(verb=train)
    verb.add_argument("family", help="mimi, ...")
    verb.add_argument("--data", required=True, metavar="DATA", help="a manifest.jsonl or a folder of recordings to learn from")
    verb.add_argument("--out", required=True, type=Path, metavar="DIR", help="for checkpoint.pt, log.jsonl and weights.safetensors")
    verb.add_argument(
        "--steps", type=_positive, default=20_000, metavar="N", help="in all, those before a --resume included (default: 20000)"
    )
    verb.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    verb.add_argument("--device", default="auto", help="cpu, cuda, ... (default: auto)")
    verb.add_argument("--resume", action="store_true", help="go on from the checkpoint in DIR")
    verb.add_argument("--save-every", type=_positive, default=200, metavar="N", help="a kill loses at most N steps (default: 200)")

    verb = verbs.add_parser("kmeans", help="fit the codebook of a k-means tokenizer to any audio")
    verb.set_defaults(verb=kmeans)
    verb.add_argument("tokenizer", help="the variant to fit: it names features, layer and clusters, as mfcc_kmeans@km100 does")
    verb.add_argument("--data", required=True, metavar="DATA", help="an embedded set, a manifest.jsonl or a folder of audio")
    verb.add_argument("--out", required=True, type=Path, metavar="FILE", help="the codebook , .safetensors; a .json beside it describes it")
    verb.add_argument("--limit", type=_positive, metavar="N", help="only N clips, spread over the domains")
    verb.add_argument("--frames", type=_positive, default=1_000_000, metavar="N", help="a sample where there are more (default: 1000000)")
    verb.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    verb.add_argument("--device", default="auto", help="of the features: cpu, cuda, ... (default: auto)")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is wanted, not {text!r}")
    return int(text)


def _variants(names: Sequence[str], weights: Path | None) -> list[Variant]:
    from bench import registry

    variants = [registry.variant(name) for name in names]
    if weights is None:
        return variants
    if len(variants) != 1:
        raise UserError("--weights belongs to one tokenizer: name one with --tokenizer")
    return [registry.with_weights(variants[0], weights)]


def _device(name: str) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def run(options: argparse.Namespace) -> int:
    """bench run"""
    from bench.pool import start_server

    start_server("bench.metrics", f"bench.tasks.{options.suite}")
    from rich.console import Console

    from bench import registry
    from bench.data import open_data
    from bench.run import Options
    from bench.run import run as engine

    suite = _suite(options)
    columns = [name.strip() for name in options.columns.split(",") if name.strip()]
    for name in columns:
        if name not in (known := [metric.name for metric in suite.metrics]):
            raise registry.unknown("metric", name, known)
    variants = _variants(options.tokenizer, options.weights)
    data = open_data(options.data or suite.data, options.limit)
    how = Options(options.results, _device(options.device), options.workers or 0, options.seed, options.save_audio, options.fresh)
    with _progress(Console(stderr=True)) as progress:
        runs = list(engine(variants, suite, data, how, progress))
    _print_runs(runs, options.format, columns)
    return 0


def _suite(options: argparse.Namespace) -> Suite:
    from bench import registry

    suite = registry.load_suite(options.suite)
    for name in ("asr", "speaker"):
        if judge := getattr(options, f"{name}_model"):
            if suite.name != name or suite.with_judge is None:
                raise UserError(f"--{name}-model belongs to --suite {name}, not to {suite.name}: leave it out, or name that suite")
            suite = suite.with_judge(judge)
    return suite


def _print_runs(runs: list[Run], style: str, columns: list[str]) -> None:
    from bench import tables

    for run in runs:
        tables.save(run)
    if style == "csv":
        tables.to_csv(runs, sys.stdout)
    elif style == "markdown":
        tables.to_markdown(runs, sys.stdout, columns)
    else:
        tables.to_terminal(runs, _console(), columns)
        print(*(f"rows: {run.folder / 'rows.csv'}" for run in runs), sep="\n", file=sys.stderr)
    sys.stdout.flush()


def _console() -> Console:
    from rich.console import Console

    # a pipe has no width of its own: one that holds a line of figures
    return Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def report(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bar.add_task(label, total=total)
            bar.update(tasks[label], completed=done)

        yield report


def list_(options: argparse.Namespace) -> int:
    """bench list"""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bench import listing

    header, lines = listing.TABLES[options.what]()
    table = Table(*header, box=box.SIMPLE_HEAD, pad_edge=False)
    for line in lines:
        table.add_row(*map(Text, line))
    _console().print(table)
    return 0


def show(options: argparse.Namespace) -> int:
    """bench show"""
    from bench import listing, registry

    facts = listing.facts(registry.variant(options.tokenizer))
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
    return 0


def check(options: argparse.Namespace) -> int:
    """bench check"""
    from bench import registry
    from bench.check import check as contract

    device, failed = _device(options.device), 0
    for variant in _variants(options.tokenizer, options.weights):
        findings = contract(variant, partial(registry.load_tokenizer, variant, device), device, options.seed)
        for finding in findings:
            print(f"{variant.spec.label}  {finding.outcome:<4}  {finding.name}: {finding.detail}")
        failed += sum(finding.outcome == "fail" for finding in findings)
    return 1 if failed else 0


def train(options: argparse.Namespace) -> int:
    """bench train"""
    from bench.train.loop import train as recipe

    o = options
    path = recipe(o.family, o.data, o.out, o.steps, o.seed, _device(o.device), o.resume, o.save_every)
    print(f"weights: {path}; use them: bench run --tokenizer {o.family}@mini --weights {path}")
    return 0


def kmeans(options: argparse.Namespace) -> int:
    """bench kmeans"""
    from rich.console import Console

    from bench import registry
    from bench.data import open_data
    from bench.fit import fit

    o, variant = options, registry.variant(options.tokenizer)
    with _progress(Console(stderr=True)) as progress:
        r = fit(variant, open_data(o.data, o.limit), o.out, o.seed, _device(o.device), o.frames, progress)
    print(f"{r.clusters} clusters of {r.dimension} values, fitted to {r.frames} frames of {r.clips} clips, {r.seconds:.0f} s")
    print(f"inertia {r.inertia:.4g} a frame, {100 * r.explained:.1f} % of the variance explained")
    print(f"{r.used} of {r.clusters} in use, perplexity {r.perplexity:.1f}, {r.restarted} started again")
    if r.failures:
        print(f"{r.failures} clips could not be read", file=sys.stderr)
    print(f"codebook: {o.out}" + (f"; use it: bench check {variant.spec.label} --weights {o.out}" if variant.checkpoint else ""))
    return 0
