"""A folder about a few runs that can be sent to somebody: the pages of the leaderboards for these runs, clips to hear, what failed, and a
record of what ran. Everything is inside; runs/ holds the rows that every figure is of.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.api import UserError
from bench.leaderboard import page, shell
from bench.leaderboard.aggregate import boards
from bench.listening import samples
from bench.listening.page import Shown
from bench.records.finished import CPU_SECONDS
from bench.records.reader import Kept
from bench.records.writer import failed_clips, noted, odd_files, replace
from bench.report import comparability, marks
from bench.statistics.bootstrap import scarce, summarise

RECORD, RUNS = "record.html", "runs"
MOST_FAILURES = 50  # clips of one run that are listed
OURS = (RUNS, samples.FOLDER, shell.LISTENING, RECORD, shell.INDEX, *shell.FOLDERS)  # what a report consists of
Listen = Callable[[Path], tuple[list[Shown], list[str]]]  # writes audio below a folder: clips, and what could not be had


def write(runs: Sequence[Kept], out: Path, title: str, listen: Listen | None = None) -> list[str]:
    """Writes the folder; notes on what could not be had. A report that is there is replaced, any other folder is refused."""
    refuse(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _clear(out)
        shown, notes = listen(out) if listen else ([], [])
        files = _copied(runs, out)
        heard = frozenset(label for s in shown for label in s.tracks)
        site = page.Site(
            boards(runs),
            heard=heard,
            files=[(RECORD, "has what failed and what ran, with the rows of every run")],
            first="Report",
            csv=False,
            title=title,
            summary=_summary(runs),
            further=[(RECORD, "Failures and record")],
        )
        found = page.pages(site) | shell.assets() | {RECORD: record(runs, site.links, files)}
        if shown:
            found[shell.LISTENING] = samples.written(out, runs, shown, "bench report", shell.INDEX, notes)
        for name, text in found.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            replace(out / name, text)
    except OSError as error:
        raise UserError(f"{error.filename or out}: {error.strerror}: choose another place with --out") from error
    return notes


def _summary(runs: Sequence[Kept]) -> str:
    """What was run on what."""
    on = dict.fromkeys(f"{run.suite} on {run.record['data_name']} ({run.record['clips']} clips)" for run in runs)
    return f"{len({run.label for run in runs})} tokenizers: {', '.join(on)}. Every figure is generated from stored runs."


def refuse(out: Path) -> None:
    """UserError for a folder that is something else."""
    if out.is_dir() and any(out.iterdir()) and not (out / RECORD).is_file():
        raise UserError(f"{out}: holds something that is no report: name an empty or new folder with --out")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file: name a folder with --out")


def _clear(out: Path) -> None:
    for name in OURS:
        if (out / name).is_dir():
            shutil.rmtree(out / name)
        else:
            (out / name).unlink(missing_ok=True)


def _copied(runs: Sequence[Kept], out: Path) -> dict[str, tuple[str, str, str]]:
    """The files of the runs -> label, suite and sha256."""
    found = {}
    for run in runs:
        for name in ("run.json", "rows.csv"):
            source, place = run.where / name, f"{RUNS}/{run.suite}/{run.where.name}/{name}"
            (out / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, out / place)
            found[place] = (run.label, run.suite, hashlib.sha256(source.read_bytes()).hexdigest())
    return found


def record(runs: Sequence[Kept], links: shell.Links, files: Mapping[str, tuple[str, str, str]]) -> str:
    """The page of failures, and of what ran."""
    return shell.render(
        "record.html.j2",
        title="Failures and record",
        path=RECORD,
        links=links,
        failures=[failure for run in runs for failure in [_failures(run)] if failure],
        notes=list(dict.fromkeys(_notes(runs))),
        runs=[_facts(run, files) for run in runs],
    )


def _failures(run: Kept) -> dict[str, object]:
    """What one run could not do; empty where there is nothing."""
    failed = failed_clips(run.rows)
    other = [f"{odd.note} ({odd.clips} clips)" for odd in odd_files(run.rows)]
    missing = [line.partition(": ")[2] for line in comparability.missing(run.label, run)]
    if not failed and not other and not missing:
        return {}
    clips = list(failed.items())
    return {
        "name": f"{marks.marked(run.label, marks.of_run(run))}, {run.suite}",
        "clips": clips[:MOST_FAILURES],
        "more": max(0, len(clips) - MOST_FAILURES),
        "lines": missing + other,
    }


def _notes(runs: Sequence[Kept]) -> list[str]:
    """What limits comparisons, suite by suite."""
    out = []
    for suite in dict.fromkeys(run.suite for run in runs):
        own = [run for run in runs if run.suite == suite]
        few = scarce(s for run in own for s in summarise(run.rows, run.metrics.values()))
        out += [f"{suite}: {line}" for line in (*comparability.packages(own), *few)]
    return out


def _facts(run: Kept, files: Mapping[str, tuple[str, str, str]]) -> dict[str, object]:
    """One run, as its run.json states it."""
    identity, record = run.identity, run.record
    machine, seconds = record.get("machine", {}), noted(record, CPU_SECONDS)
    return {
        "name": f"{run.label}, {run.suite}",
        "facts": {
            "tokenizer": marks.marked(run.label, marks.of_run(run)) + ("" if run.trained else " (untrained)"),
            "suite": f"{run.suite}, version {identity['version']}",
            "data": f"{record['data_name']}, {record['clips']} clips, sha256 {identity['data']}",
            "weights": str(identity["tokenizer"]["weights"]),
            **({"code of the tokenizer": f"sha256 {identity['code']}"} if identity["code"] else {}),
            **({"evaluator": str(identity["judge"])} if "judge" in identity else {}),
            "seed": str(identity["seed"]),
            "resampler": str(identity["resampler"]),
            "key": run.record["key"],
            "started": str(record.get("started", "not stated")),
            "commit": record.get("commit") or "an installed package",
            "machine": ", ".join(f"{name} {value}" for name, value in machine.items() if not isinstance(value, dict)) or "not stated",
            **({"CPU time of all processes": f"{seconds / 60:.1f} minutes"} if seconds is not None and math.isfinite(seconds) else {}),
            "packages": ", ".join(f"{name} {version}" for name, version in sorted(record.get("packages", {}).items())) or "not stated",
            **{key: str(record[key]) for key in ("source", "licence") if record.get(key)},
        },
        "files": [(name, sha256) for name, (label, suite, sha256) in files.items() if (label, suite) == (run.label, run.suite)],
    }
