"""Findings -> a table of regressions for people, JUnit XML for machines."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

from bench.api import UserError
from bench.gate.regressions import LEVEL, Finding
from bench.report import formats, marks
from bench.report.formats import Grid, Strong, cell, change, probability, title
from bench.statistics.bootstrap import FEWEST

LEFT = 5  # columns of text before those of numbers


def headline(findings: Sequence[Finding]) -> str:
    """One line: did it hold?"""
    failed, better = sum(f.failed for f in findings), sum(f.verdict == "better" for f in findings)
    runs = len({(f.suite, f.tokenizer) for f in findings})
    told = f"{len(findings)} scores of {runs} run{'s' * (runs != 1)} against the baseline: {failed} worse or missing, {better} better"
    return ("Gate failed. " if failed else "Gate passed. ") + told


def grid(findings: Sequence[Finding], verdicts: Sequence[str], caption: str) -> list[Grid]:
    """A line for each finding of those verdicts; no table where there is none."""
    header = ["tokenizer", "suite", "domain", "metric", "what", "baseline", "now", "change [95 % interval]", "p (Holm)"]
    lines = [
        [
            marks.marked(f.tokenizer, f.trained_here),
            f.suite,
            f.domain,
            title(f.metric),
            f.why or f.verdict,
            cell(f.before, f.metric),
            cell(f.now, f.metric) if f.now else "–",
            Strong(change(f.change, f.metric)),
            probability(f.p),
        ]
        for f in findings
        if f.verdict in verdicts
    ]
    return [(caption, header, lines)] if lines else []


def grids(findings: Sequence[Finding]) -> list[Grid]:
    """Offenders first, then what got better."""
    return grid(findings, ("worse", "missing", "gone"), "Regressions") + grid(findings, ("better",), "better")


def worst_clips(findings: Sequence[Finding]) -> list[Grid]:
    """The clips to listen to first: at most five of each regression, with the values of both runs."""
    header = ["tokenizer", "suite", "domain", "metric", "clip", "baseline", "now", "change"]
    lines = []
    for f in findings:
        for clip in f.worst() if f.failed else ():
            digits = formats.digits_of(f.metric, clip.before)
            now = f"– ({clip.note})" if math.isnan(clip.now) else f"{clip.now:.{digits}f}"
            moved = "–" if math.isnan(clip.now) else f"{clip.now - clip.before:+.{digits}f}"
            lines.append(
                [
                    marks.marked(f.tokenizer, f.trained_here),
                    f.suite,
                    f.domain,
                    title(f.metric),
                    clip.name,
                    f"{clip.before:.{digits}f}",
                    now,
                    moved,
                ]
            )
    return [("Worst clips", header, lines)] if lines else []


def notes(findings: Sequence[Finding], strict: bool, further: Sequence[str], accept: str = "bench gate --update") -> list[str]:
    """How it was judged. `accept`: the command that makes the runs the new baseline."""
    tests = sum(not math.isnan(f.p) for f in findings)
    rule = "by more than its tolerance" + (
        " (--strict)" if strict else f", and significantly on paired clips (one-sided, Holm over {tests} tests, {100 * LEVEL:g} %)"
    )
    without = (
        ""
        if strict
        else f"; where no test is possible (a value of the whole corpus, or fewer than {FEWEST} speakers) the tolerance decides"
    )
    out = [f"worse: in the metric's bad direction {rule}{without}"]
    if any(f.verdict == "better" for f in findings):
        out.append(f"to keep the improvements as the new baseline: {accept}")
    if any(f.failed for f in findings):
        out.append(f"if the change is meant, accept it and commit the baseline: {accept}")
    shown = [f.trained_here for f in findings if f.failed or f.verdict == "better"]
    return [*marks.line(shown), *out, *further]


def to_markdown(findings: Sequence[Finding], below: Sequence[str], out: TextIO) -> None:
    """The summary for a pull request."""
    out.write(f"### {headline(findings)}\n\n")
    formats.to_markdown([*grids(findings), *worst_clips(findings)], below, out, LEFT)


def write_junit(path: Path, findings: Sequence[Finding]) -> None:
    """A test case for each finding, a test suite for each run."""
    root = ElementTree.Element("testsuites", name="bench gate", tests=str(len(findings)), failures=str(sum(f.failed for f in findings)))
    for (suite, tokenizer), found in itertools.groupby(findings, key=lambda f: (f.suite, f.tokenizer)):
        cases = list(found)
        failed = sum(f.failed for f in cases)
        name = _printable(f"{suite}.{tokenizer}")
        group = ElementTree.SubElement(root, "testsuite", name=name, tests=str(len(cases)), failures=str(failed), errors="0", skipped="0")
        for f in cases:
            case = ElementTree.SubElement(group, "testcase", classname=name, name=f"{f.domain}.{f.metric.name}")
            if f.failed:
                now = cell(f.now, f.metric) if f.now else "none"
                told = f"{cell(f.before, f.metric)} -> {now}, change {change(f.change, f.metric)}, p (Holm) {probability(f.p)}: {f.why}"
                ElementTree.SubElement(case, "failure", type=f.verdict, message=_printable(told)).text = _printable(told)
    ElementTree.indent(root)
    try:
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: choose another place for --junit") from error


def _printable(text: str) -> str:
    """Without the control characters that no XML may hold, escaped or not."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
