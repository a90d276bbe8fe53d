"""bench gate: compare runs with a baseline; exit code 1 where a codec got worse."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments
from bench.commands.arguments import console

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs
    from bench.records.choose import Head
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
    arguments.tokenizers(verb, "--tokenizer", about="only these: ")
    arguments.results(verb)
    arguments.choice(verb)
    arguments.verbosity(verb)
    verb.add_argument("--suite", action="append", default=[], metavar="NAME", help="only these suites (default: all)")
    verb.add_argument("--strict", action="store_true", help="the tolerance alone decides, without a significance test")
    verb.add_argument("--summary", type=Path, metavar="FILE", help="write the result as Markdown, for a pull request")
    verb.add_argument("--junit", type=Path, metavar="FILE", help="write the result as JUnit XML, one test case per metric")


def gate(options: argparse.Namespace) -> int:
    """bench gate"""
    options.notes = []
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
    runs = _runs(options, entries)
    pairs, strangers = _paired(entries, runs, options)
    findings = judge(pairs, options.strict)
    further = [line for pair in pairs for line in (*missing(pair[1].label, pair[1]), *packages(pair))]
    further += [f"not in the baseline, so not checked: {run.label}, {run.suite}; --update adds it" for run in strangers]
    below = report.notes(findings, options.strict, list(dict.fromkeys(further)), _accept(options))
    if options.summary:
        text = StringIO()
        report.to_markdown(findings, below, text)
        _write(options.summary, text.getvalue())
    if options.junit:
        report.write_junit(options.junit, findings)
    for line in dict.fromkeys(options.notes):
        arguments.note(options, line)
    formats.to_terminal(report.grids(findings), below, out := console(), report.LEFT)
    out.print(report.headline(findings), markup=False)
    return 1 if any(finding.failed for finding in findings) else 0


def _accept(options: argparse.Namespace) -> str:
    """The command that makes these runs the baseline."""
    words = ["bench", "gate", "--baseline", str(options.baseline)]
    words += ["--results", str(options.results)] if options.results != Path("results") else []
    words += [word for flag in ("tokenizer", "suite") for name in getattr(options, flag) for word in (f"--{flag}", name)]
    words += [word for folder in options.runs for word in ("--run", str(folder))]
    return shlex.join([*words, "--update"])


def _update(options: argparse.Namespace) -> int:
    from bench.gate import baseline

    runs = {(run.suite, run.label): run for run in _runs(options)}
    for run in runs.values():
        if run.unfinished:
            raise UserError(f"{run.where}: {run.unfinished} of {run.record['clips']} clips have not run yet: the same bench run resumes")
    old = baseline.read(options.baseline) if options.baseline.exists() else []
    kept = [run for run in old if (run.suite, run.label) not in runs]
    baseline.write(options.baseline, [*runs.values(), *kept])
    for line in dict.fromkeys(options.notes):
        arguments.note(options, line)
    for run in runs.values():
        print(f"{options.baseline}: {run.label}, {run.suite} v{run.identity['version']}, from {run.where}")
    for run in kept:
        print(f"{options.baseline}: {run.label}, {run.suite} v{run.identity['version']}, as it was")
    return 0


def _runs(options: argparse.Namespace, entries: Sequence[Kept] = ()) -> list[Kept]:
    """Finished runs of every suite, one of each tokenizer that the options name: on the data of its entry in the baseline where there is
    such a run, else on the data that all have in common."""
    from bench.records import choose, reader
    from bench.records.writer import folder_name

    folders = [folder for word in options.tokenizer if (folder := reader.named_folder(word))]
    words = _words(options)
    found = choose.heads(options.results, options.suite) if words else []
    missed, runs = set(words), [reader.read(folder) for folder in folders]
    for suite in dict.fromkeys(head.folder.parent.name for head in found):
        there = [head for head in found if head.folder.parent.name == suite]
        here = [word for word in words if choose.means(word, [head.label for head in there])]
        missed -= set(here)
        known = {folder_name(entry.label): entry for entry in entries if entry.suite == suite}
        if here:
            runs += _like(options, suite, here, there, known) if entries else _chosen(options, suite, here)
    for word in sorted(missed):
        choose.labels_of(word, found, options.results)
    return runs


def _chosen(options: argparse.Namespace, suite: str, words: Sequence[str], prefer: str = "") -> list[Kept]:
    """Runs, and what is to be said of them in `options.notes`, which is printed where nothing went wrong."""
    from bench.records.choose import choose

    choice = choose(words, options.results, suite, arguments.wish(options), prefer)
    options.notes += [f"{suite}: {line}" for line in choice.notes]
    return choice.runs


def _like(options: argparse.Namespace, suite: str, words: Sequence[str], there: Sequence[Head], known: Mapping[str, Kept]) -> list[Kept]:
    """The runs that words name, each as like its entry in the baseline as there is one."""
    from bench.records import choose, reader

    runs: list[Kept] = []
    for label in dict.fromkeys(label for word in words for label in choose.means(word, [head.label for head in there])):
        if label in known:
            runs += _chosen(options, suite, [label], choose.alike(known[label].identity))
        elif finished := [head for head in there if head.label == label and head.finished]:
            runs.append(reader.read(choose.newest_of(finished).folder))
    return runs


def _words(options: argparse.Namespace) -> list[str]:
    """The names that are no folders of runs; all tokenizers where none is given."""
    from bench.catalog import names
    from bench.records import reader

    words = [word for word in options.tokenizer if not reader.named_folder(word)]
    return names.split(words) if words else [] if options.tokenizer else ["*"]


def _paired(entries: Sequence[Kept], runs: Sequence[Kept], options: argparse.Namespace) -> tuple[list[tuple[Kept, Kept]], list[Kept]]:
    """(baseline, now) of every run that is to be judged, and the runs that the baseline does not have."""
    from bench.records.choose import means

    now = {(run.suite, run.label): run for run in runs}
    labels = [entry.label for entry in entries]
    meant = {label for word in _words(options) for label in means(word, labels)}
    wanted = [entry for entry in entries if (entry.suite, entry.label) in now or entry.label in meant]
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
