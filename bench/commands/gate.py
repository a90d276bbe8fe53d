"""bench gate: has a codec got worse? Runs against a baseline, ending in an exit code."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments
from bench.commands.arguments import console

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs
    from bench.records.reader import Kept


EXAMPLES = """examples:
  bench gate --baseline gate.jsonl --update       write the baseline from the runs in results/
  bench gate --baseline gate.jsonl                check later runs against it
  bench gate --baseline gate.jsonl --tokenizer mimi --summary gate.md --junit gate.xml"""


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "gate", gate, "compare runs with a baseline: exit code 1 where a codec got worse", EXAMPLES)
    verb.add_argument("--baseline", type=Path, required=True, metavar="FILE", help="baseline file; --update writes it")
    verb.add_argument("--update", action="store_true", help="write the baseline from the runs; other tokenizers in it stay")
    verb.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="folder of the runs (default: results)")
    verb.add_argument(
        "--tokenizer", action="append", default=[], metavar="NAME", help="only these tokenizers: a name, 'opus@*' or a run folder"
    )
    verb.add_argument("--suite", action="append", default=[], metavar="NAME", help="only these suites (default: all)")
    verb.add_argument("--strict", action="store_true", help="the tolerance alone decides, without a significance test")
    verb.add_argument("--summary", type=Path, metavar="FILE", help="write the result as Markdown, for a pull request")
    verb.add_argument("--junit", type=Path, metavar="FILE", help="write the result as JUnit XML, one test case per metric")


def gate(options: argparse.Namespace) -> int:
    """bench gate"""
    try:
        return _update(options) if options.update else _judge(options)
    except UserError as error:
        if options.summary and not options.update:
            _write(options.summary, f"### Gate could not decide\n\n```text\n{error}\n```\n")
        raise


def _judge(options: argparse.Namespace) -> int:
    from io import StringIO

    from bench.gate import baseline, report
    from bench.gate.regressions import judge
    from bench.report import formats
    from bench.report.comparability import missing, packages

    entries = [run for run in baseline.read(options.baseline) if not options.suite or run.suite in options.suite]
    runs = _runs(options)
    pairs, strangers = _paired(entries, runs, options)
    findings = judge(pairs, options.strict)
    further = [line for pair in pairs for line in (*missing(pair[1].label, pair[1]), *packages(pair))]
    further += [f"not in the baseline, so not checked: {run.label}, {run.suite}; --update adds it" for run in strangers]
    below = report.notes(findings, options.strict, list(dict.fromkeys(further)))
    if options.summary:
        text = StringIO()
        report.to_markdown(findings, below, text)
        _write(options.summary, text.getvalue())
    if options.junit:
        report.write_junit(options.junit, findings)
    formats.to_terminal(report.grids(findings), below, out := console(), report.LEFT)
    out.print(report.headline(findings), markup=False)
    return 1 if any(finding.failed for finding in findings) else 0


def _update(options: argparse.Namespace) -> int:
    from bench.gate import baseline

    runs = {(run.suite, run.label): run for run in _runs(options)}
    for run in runs.values():
        if run.unfinished:
            raise UserError(f"{run.where}: {run.unfinished} of {run.record['clips']} clips have not run yet: the same bench run resumes")
    old = baseline.read(options.baseline) if options.baseline.exists() else []
    kept = [run for run in old if (run.suite, run.label) not in runs]
    baseline.write(options.baseline, [*runs.values(), *kept])
    for run in runs.values():
        print(f"{options.baseline}: {run.label}, {run.suite} v{run.identity['version']}, from {run.where}")
    for run in kept:
        print(f"{options.baseline}: {run.label}, {run.suite} v{run.identity['version']}, as it was")
    return 0


def _runs(options: argparse.Namespace) -> list[Kept]:
    """The runs that the options choose, one for each suite and tokenizer."""
    from bench.records import reader

    named = [reader.named_folder(operand) for operand in options.tokenizer]
    chosen = [folder for folder in named if folder]
    if not options.tokenizer or not all(named):
        found = reader.folders(options.results, options.suite)
        labels = [operand for operand, folder in zip(options.tokenizer, named, strict=True) if not folder]
        for operand in labels:
            if not any(reader.matches(operand, reader.label_of(folder)) for folder in found):
                raise UserError(f"no run of {operand} in {options.results}: make one with bench run, or leave it out")
        chosen += [f for f in found if not options.tokenizer or any(reader.matches(operand, reader.label_of(f)) for operand in labels)]
    reader.refuse_twins(list(dict.fromkeys(chosen)))
    return [reader.read(folder) for folder in dict.fromkeys(chosen)]


def _paired(entries: Sequence[Kept], runs: Sequence[Kept], options: argparse.Namespace) -> tuple[list[tuple[Kept, Kept]], list[Kept]]:
    """(baseline, now) of every run that is to be judged, and the runs that the baseline does not have."""
    from bench.records import reader

    now = {(run.suite, run.label): run for run in runs}
    wanted = [
        e
        for e in entries
        if not options.tokenizer or (e.suite, e.label) in now or any(reader.matches(o, e.label) for o in options.tokenizer)
    ]
    for entry in wanted:
        if (entry.suite, entry.label) not in now:
            raise UserError(
                f"{options.results} has no run of {entry.label}, {entry.suite}, which the baseline has: "
                "make it with bench run, or select runs with --tokenizer and --suite"
            )
    if not wanted:
        listed = ", ".join(f"{e.label} ({e.suite})" for e in entries) or "nothing of these suites"
        raise UserError(f"{options.baseline} has none of the runs chosen, but {listed}: add them with --update")
    known = {(entry.suite, entry.label) for entry in wanted}
    return [(entry, now[entry.suite, entry.label]) for entry in wanted], [run for key, run in now.items() if key not in known]


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: choose another place for --summary") from error
