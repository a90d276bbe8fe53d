"""bench run: run tokenizers through suites and print a table.

Names, columns, data and the device's name are proven before torch is imported: a wrong word is answered at once.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import DOMAINS, Data, Suite, UserError, Variant
from bench.commands import arguments, executor, terminal
from bench.commands.arguments import DETAILED, console, note, positive, words
from bench.commands.progress import progress
from bench.lm.options import WORDS
from bench.pairs.options import SEEDS, SETS
from bench.records.devices import device_of
from bench.throughput.sweep import DTYPES

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs
    from bench.engine.cluster_worker import Work
    from bench.engine.run import Progress
    from bench.records.finished import Run
    from bench.records.options import Options

ALL = "all"  # of --columns
FORMATS = ("table", "markdown", "csv", "json")
EVALUATORS = {"asr": "recognizer", "speaker": "speaker model", "quality": "quality evaluator"}  # suite -> what --SUITE-model names
ASKED_BY = {"asr": ("asr", "swap"), "speaker": ("speaker", "swap"), "quality": ("quality",)}  # the suites that ask it
SEVERAL = ("quality",)  # those whose --SUITE-model names one or more
EXAMPLES = """examples:
  bench run --tokenizer mimi                                   the bundled corpus, suite reconstruction
  bench run --tokenizer mimi,encodec,'opus@*' --suite codes,robustness
  bench run --tokenizer ./my_codec.py --data recordings/ --limit 20
  bench run --tokenizer mimi --suite all --config run.toml     flags given here override those of the file"""


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "run", run, "run tokenizers through suites and print a table; resumes interrupted runs", EXAMPLES)
    what = verb.add_argument_group("what")
    arguments.tokenizers(what, "--tokenizer", required=True)
    what.add_argument(
        "--suite", action="append", metavar="NAME", help="what to measure: a name, a,b or all; may be repeated (default: reconstruction)"
    )
    what.add_argument(
        "--data", metavar="DATA", help="a set's name (bench data list), a manifest.jsonl or a folder of audio (default: the suite's own)"
    )
    arguments.data_root(what)
    what.add_argument(
        "--limit", type=arguments.clips, metavar="N", help="only N clips, or a share as 10%%, spread over domains, speakers and texts"
    )
    what.add_argument("--seed", type=int, default=0, help="random seed, of the noise that decoders draw among others (default: 0)")
    what.add_argument("--weights", type=Path, metavar="FILE", help="your own checkpoint for the one tokenizer named")
    what.add_argument("--untrained", action="store_true", help="random weights in place of a download, for timing only")
    what.add_argument("--asr-model", metavar="NAME", help="ASR model of --suite asr or swap, a name or a file (default: its own)")
    what.add_argument(
        "--speaker-model", metavar="NAME", help="speaker encoder of --suite speaker or swap, a name or a path (default: its own)"
    )
    what.add_argument(
        "--quality-model", metavar="A,B,...", help="evaluators of --suite quality (default: default, those that need no download)"
    )
    what.add_argument(
        "--sweep",
        metavar="POINTS",
        help="points of --suite throughput: small (default), full, or e.g. 'batch=1,8,max seconds=1,10 dtype=bfloat16 mode=compiled'",
    )
    what.add_argument("--asr-options", metavar="A,B", help="further columns of --suite asr: per (phone error rate, English)")
    what.add_argument("--codes-options", metavar="A,B", help="further columns of --suite codes: units (how long runs of equal codes last)")
    what.add_argument(
        "--probe-options",
        metavar="A,B",
        help="further questions of --suite probe: mel (the log-mel spectrogram), label:NAME (a field of the manifest that is called so)",
    )
    what.add_argument("--lm-options", metavar="A,B", help=f"further trainings of --suite lm, for further columns: {', '.join(WORDS)}")
    what.add_argument(
        "--pairs-options",
        metavar="A,B",
        help=f"--suite pairs: {SEEDS}=N models (default: 1); sets of pairs in folders, {', '.join(f'{name}=DIR' for name in SETS)}",
    )
    what.add_argument(
        "--dtype",
        choices=DTYPES,
        default=DTYPES[0],
        help=f"precision of the tokenizer, by autocast (default: {DTYPES[0]}); other dtypes are reported as separate entries, NAME-DTYPE",
    )
    how = verb.add_argument_group("how")
    arguments.device(how)
    arguments.licence(how)
    how.add_argument("--workers", type=positive, metavar="N", help="number of scoring processes (default: one per core)")
    how.add_argument(
        "--batch-size",
        type=positive,
        metavar="N",
        help="clips per batch (default: 1 on a CPU, on a GPU 240 s of audio)",
    )
    arguments.results(how)
    how.add_argument(
        "--shard",
        type=arguments.shard,
        metavar="i/n",
        help="only part i of n of the clips, for arrays of jobs; bench merge puts them together",
    )
    executor.add(how)
    how.add_argument("--verify", action="store_true", help="hash every file again, as if its time of change said nothing")
    how.add_argument("--fresh", action="store_true", help="ignore cached results and rerun")
    how.add_argument("--fail-fast", action="store_true", help="stop at the first clip on which a tokenizer fails")
    how.add_argument("--allow-failures", action="store_true", help="exit code 0 even if a tokenizer failed on some clips")
    how.add_argument("--config", type=Path, metavar="FILE", help="TOML file of flags, as limit = 20; flags given here override it")
    arguments.verbosity(how)
    output = verb.add_argument_group("output")
    output.add_argument("--format", choices=FORMATS, default="table", help="output format (default: table)")
    output.add_argument(
        "--columns", default="", metavar="A,B,...", help="columns to print in tables; all: every one (default: the suite's headline)"
    )
    output.add_argument("--save-audio", type=Path, metavar="DIR", help="keep originals and reconstructions as WAV files")


def run(options: argparse.Namespace) -> int:
    """bench run"""
    from bench.catalog import index, names

    names.tokenizers(options.tokenizer)
    chosen = names.chosen_suites(options.suite or ["reconstruction"])
    columns = words(options.columns)
    _refuse(options, chosen, columns)
    data = _data(options, chosen)

    from bench.commands import finished

    if (there := finished.runs(options, chosen, data)) is not None:
        return _tell(options, there, data, columns)

    from bench.engine.worker_pool import start_server

    local = options.executor == executor.LOCAL
    timed = any(index.suite(name).timed for name in chosen)  # imports would disturb what is timed
    if local and not timed and not _seem_finished(options, data):
        start_server("bench.metrics", *(f"bench.tasks.{name}" for name in chosen))
    from bench.plugins.streams import stdout_to_stderr
    from bench.records.options import Options

    suites = [_suite(options, name) for name in chosen]
    _refuse_columns(columns, [metric.name for suite in suites for metric in suite.metrics])
    variants = _variants(options)
    device = device_of(options.device) if local else "cpu"  # of a cluster: once it is there
    workers, batch = options.workers or 0, options.batch_size or 0
    how = Options(
        options.results,
        device,
        workers,
        options.seed,
        options.save_audio,
        options.fresh,
        options.fail_fast,
        batch=batch,
        shard=options.shard,
    )
    with stdout_to_stderr(), progress(options) as report:
        runs = list(_runs(options, variants, [(suite, data[suite.name]) for suite in suites], how, report))
    return _tell(options, runs, data, columns)


def _tell(options: argparse.Namespace, runs: Sequence[Run], data: Mapping[str, Data], columns: Sequence[str]) -> int:
    """Prints what came out of it -> the exit code."""
    _print_failures(runs)
    _print_notes(options, runs)
    if options.shard:
        _print_shards(options, runs)
    elif options.save_audio:
        _print_page(options, runs, data)
    if not options.shard:
        print_runs(runs, options, columns)
    return 1 if any(run.failed for run in runs) and not options.allow_failures else 0


def _print_shards(options: argparse.Namespace, runs: Sequence[Run]) -> None:
    """Where the rows of a part are: its means are nobody's."""
    for run in runs:
        own = len(options.shard.clips(run.data.clips))
        print(f"shard {options.shard} of {run.variant.spec.label} in {run.suite.name}: {own} of {len(run.data.clips)} clips: {run.folder}")
    note(options, f"when all {options.shard.of} are there: bench merge --results {options.results}")


def _print_page(options: argparse.Namespace, runs: Sequence[Run], data: Mapping[str, Data]) -> None:
    """Where the saved audio can be heard: a page of all tokenizers whose audio and scores on this data are there."""
    from bench.listening import samples
    from bench.records import reader
    from bench.records.choose import heads

    if own := [run for run in runs if run.suite.name == runs[0].suite.name]:
        first = reader.read(own[0].folder)
        others = [
            head for head in heads(options.results, [first.suite]) if head.finished and head.record["identity"]["tokenizer"]["decodes"]
        ]
        kept = {reader.label_of(head.folder): head.folder for head in others if head.record["identity"]["data"] == first.identity["data"]}
        kept |= {reader.label_of(run.folder): run.folder for run in own}
        page = samples.folder_page(options.save_audio, [reader.read(folder) for folder in kept.values()], data[first.suite])
        if page:
            note(options, f"to be heard: {page}")


def _seem_finished(options: argparse.Namespace, data: Mapping[str, Data]) -> bool:
    """Whether there are finished runs of everything that is named, so that no worker process need be started to import its part. A guess:
    where it is wrong, workers import theirs when they begin."""
    from bench.catalog import index, names
    from bench.records.choose import heads
    from bench.records.writer import folder_name

    if options.shard or options.fresh or options.weights or options.untrained or options.dtype != DTYPES[0] or not options.results.is_dir():
        return False
    labels = {folder_name(label) for label in names.tokenizers(options.tokenizer)}
    for suite, clips in data.items():
        if not (options.results / suite).is_dir():
            return False
        alike = {"data": clips.sha256, "seed": options.seed, "version": index.suite(suite).version}
        found = (
            [head for head in heads(options.results, [suite]) if head.label in labels] if any((options.results / suite).iterdir()) else []
        )
        same = {head.label for head in found if alike.items() <= head.record["identity"].items() and head.finished}
        if same != labels:
            return False
    return True


def _data(options: argparse.Namespace, chosen: Sequence[str]) -> dict[str, Data]:
    from bench.catalog import index
    from bench.data.manifests import told_data

    sources = {name: options.data or index.suite(name).data for name in chosen}
    further = {"probe"} if options.probe_options else set()  # may be asked about other domains than of itself
    scored = {name: index.suite(name).domains if options.limit and name not in further else DOMAINS for name in chosen}
    asked = dict.fromkeys((sources[name], scored[name]) for name in chosen)
    opened = {(source, domains): told_data(source, options.limit, domains, options.seed, options.verify) for source, domains in asked}
    return {name: opened[sources[name], scored[name]] for name in chosen}


def _refuse(options: argparse.Namespace, chosen: Sequence[str], columns: Sequence[str]) -> None:
    """UserError for what can be known to be wrong before torch is imported."""
    from bench.catalog import index, names
    from bench.evaluators import options as asr
    from bench.evaluators.packages import refuse_missing
    from bench.lm import options as lm
    from bench.pairs import options as pairs
    from bench.probe import options as probe
    from bench.records.devices import refuse_word
    from bench.throughput import sweep
    from bench.tokens import options as codes

    refuse_word(options.device)
    executor.refuse_words(options)
    everything = "all" in (options.suite or ())
    if options.untrained and options.weights:
        raise UserError("--untrained and --weights cannot be used together")
    if options.sweep:
        _belongs("--sweep", ("throughput",), chosen)
        sweep.parse(options.sweep)
    if options.asr_options:
        _belongs("--asr-options", ("asr",), chosen)
        asr.parse(options.asr_options)
    if options.codes_options:
        _belongs("--codes-options", ("codes",), chosen)
        codes.parse(options.codes_options)
    if options.probe_options:
        _belongs("--probe-options", ("probe",), chosen)
        probe.parse(options.probe_options)
    if options.lm_options:
        _belongs("--lm-options", ("lm",), chosen)
        lm.parse(options.lm_options)
    if options.pairs_options:
        _belongs("--pairs-options", ("pairs",), chosen)
        pairs.refuse_missing(pairs.parse(options.pairs_options))
    for name, kind in EVALUATORS.items():
        model = getattr(options, f"{name}_model") or ""
        if model:
            _belongs(f"--{name}-model", ASKED_BY[name], chosen)
        known = index.suite(name).evaluators
        for one in (words(model) if name in SEVERAL else [model]) or [""]:
            if one and one not in known and not Path(one).exists() and Path(one).parent == Path() and Path(one).suffix != ".pt":
                raise names.unknown(kind, one, known)
            if name in chosen and not everything and (not one or one in known):
                refuse_missing(name, one)
    if "swap" in chosen and not everything:
        refuse_missing("asr", options.asr_model or "pocketsphinx")
        refuse_missing("speaker", options.speaker_model or "")
    told = (options.asr_model, options.speaker_model, options.quality_model)
    if not any((*told, options.asr_options, options.codes_options, options.probe_options)):
        _refuse_columns(columns, [metric.name for name in chosen for metric in index.suite(name).metrics])


def _belongs(flag: str, suites: Sequence[str], chosen: Sequence[str]) -> None:
    if not set(suites) & set(chosen):
        raise UserError(f"{flag} belongs to --suite {' or '.join(suites)}, not to {', '.join(chosen)}: leave it out, or name that suite")


def _refuse_columns(columns: Sequence[str], known: Sequence[str]) -> None:
    from bench.catalog import names

    for column in columns if ALL not in columns else ():
        if column not in known:
            raise UserError(f"no metric is called {column!r}{names.nearest(column, known)} bench list metrics names them all")


def _suite(options: argparse.Namespace, name: str) -> Suite:
    """A suite with the evaluator and the points that the options name for it."""
    from bench import registry

    suite = registry.load_suite(name)
    model = getattr(options, f"{name}_model", None)
    if name == "swap" and (options.asr_model or options.speaker_model):
        model = f"{options.asr_model or ''};{options.speaker_model or ''}"
    if model and suite.with_judge:
        suite = suite.with_judge(model)
    asked = getattr(options, f"{name}_options", "")
    if asked and suite.with_asked:
        suite = suite.with_asked(asked)
    return suite.with_sweep(options.sweep) if options.sweep and suite.with_sweep else suite


def _variants(options: argparse.Namespace) -> list[Variant]:
    """The tokenizers, with the weights and the precision that the options ask for."""
    from bench import registry
    from bench.engine.autocast import lowered

    variants = registry.variants_of(options.tokenizer, options.weights)
    if options.untrained:
        variants = [registry.untrained(variant, options.seed) for variant in variants]
    return [lowered(variant, options.dtype) for variant in variants]


def _work(options: argparse.Namespace, name: str) -> Work:
    """What the options say of a suite, opened by another process than that of the command."""
    from bench.engine.cluster_worker import Work

    return Work(_variants(options), _suite(options, name), _data(options, [name])[name])


def _runs(
    options: argparse.Namespace, variants: Sequence[Variant], asked: Sequence[tuple[Suite, Data]], how: Options, report: Progress
) -> Iterator[Run]:
    """Every suite, those that time first, all proven to be possible before the first one starts."""
    todo = [(some, suite, data) for suite, data in asked if (some := _able(options, variants, suite, data, how))]
    if not todo:
        raise UserError("nothing is left to run: name a suite with --suite")
    done: dict[str, list[Run]] = {}
    with executor.chosen(options, how, report, partial(_work, options)) as (engine, device):
        for some, suite, data in sorted(todo, key=lambda item: not item[1].sweep):
            note(options, f"{suite.name}: {len(some)} tokenizers on {data.name} ({len(data.clips)} clips), {device}", DETAILED)
            done[suite.name] = list(engine(some, suite, data))
    for suite, _ in asked:
        yield from done.get(suite.name, ())


def _able(options: argparse.Namespace, variants: Sequence[Variant], suite: Suite, data: Data, how: Options) -> list[Variant]:
    """The tokenizers that can go through the suite. With --suite all, others, or the suite, are left out with a note; else UserError."""
    from bench.engine.run import refuse

    everything = "all" in (options.suite or ())
    able = [v for v in variants if v.spec.encodes and (v.spec.decodes or not suite.needs_decode)] if everything else list(variants)
    try:
        if suite.sweep and options.dtype != DTYPES[0]:
            cure = f"ask for --sweep 'dtype={options.dtype}', not --dtype"
            raise UserError(f"the {suite.name} suite has precisions among its points: {cure}")
        if not able:
            raise UserError("; ".join(dict.fromkeys(_unable(v) for v in variants)))
        executor.refuse(options, suite)
        refuse(able, suite, data, how)
        if suite.prepare:
            suite.prepare()
    except UserError as error:
        if not everything:
            raise
        note(options, f"left out: suite {suite.name}: {error}")
        return []
    for variant in variants:
        if variant not in able:
            note(options, f"left out of {suite.name}: {variant.spec.label}, {_unable(variant)}")
    return able


def _unable(variant: Variant) -> str:
    """Why a suite cannot have it."""
    return "it needs audio back, and this is encode-only" if variant.spec.encodes else "nothing to encode with: decode-only"


def print_runs(runs: Sequence[Run], options: argparse.Namespace, columns: Sequence[str]) -> None:
    """The tables of runs, and one over their suites, in the format asked for."""
    from bench.report import tables

    for run in runs:
        tables.save(run)
    groups = [list(group) for _, group in itertools.groupby(runs, key=lambda run: run.suite.name)]
    if options.format == "csv":
        tables.to_csv(runs, sys.stdout)
    elif options.format == "json":
        tables.to_json(runs, sys.stdout)
    for group in groups:
        shown = columns if ALL in columns else [name for name in columns if name in [metric.name for metric in group[0].suite.metrics]]
        if columns and not shown:
            continue
        if options.format == "markdown":
            tables.to_markdown(group, sys.stdout, shown)
        elif options.format == "table":
            tables.to_terminal(group, console(), shown)
    if len(groups) > 1 and not columns:
        _print_overview(runs, options)
    if options.format == "table":
        for run in runs:
            note(options, f"rows: {run.folder / 'rows.csv'}")
    sys.stdout.flush()


def _print_overview(runs: Sequence[Run], options: argparse.Namespace) -> None:
    """One table over the suites, as `bench table` makes it."""
    from bench.records import reader
    from bench.report import formats, overview

    found = overview.grids(overview.overview([reader.read(run.folder) for run in runs]))
    grids = [(f"{domain}, all suites", header, lines) for domain, header, lines in found]
    if options.format == "markdown":
        formats.to_markdown(grids, [], sys.stdout)
    elif options.format == "table":
        screen = console()
        formats.to_terminal([part for grid in grids for part in formats.fitted(grid, screen.width)], [], screen)


def _print_failures(runs: Sequence[Run]) -> None:
    """A line on stderr for each tokenizer that failed on a clip: stdout may be a CSV."""
    for run in runs:
        if run.failed:
            count, why = f"{len(run.failed)} of {len(run.data.clips)} clips", next(iter(run.failed.values()))
            terminal.say(f"{run.variant.spec.label} failed on {count} ({why}): the same command tries them again", red=True)


def _print_notes(options: argparse.Namespace, runs: Sequence[Run]) -> None:
    """On stderr: what is odd in files that were heard in spite of it, the most frequent first, and what to know of saved audio."""
    found = {odd.note: odd for run in runs for odd in run.digest.odd}  # of the same files, whoever heard them
    several = sorted(found.values(), key=lambda odd: -odd.clips)
    for odd in several[:5]:
        named = ", ".join(odd.first) + (f" and {odd.clips - len(odd.first)} more" if odd.clips > len(odd.first) else "")
        note(options, f"note: {named}: {odd.note}")
    if left := sum(odd.clips for odd in several[5:]):
        note(options, f"note: {left} more clips have a note in the rows called seconds")
    for why in dict.fromkeys(why for run in runs for why in run.notes):
        note(options, f"note: {why}")
