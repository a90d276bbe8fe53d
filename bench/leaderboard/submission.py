"""What a run must be to enter a leaderboard. Nothing is taken on trust that can be computed: names, data, columns and ranges are compared
with the registry and the embedded data, and the figures of a board are made from rows.csv alone.

Scores that somebody invented and sealed are found only by running the tokenizer again, which `repeat` does.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import registry
from bench.api import Clip, Data, Metric, Row, Suite, UserError, Variant, scored_domains
from bench.data import manifests
from bench.engine.run import Options, Progress, identity
from bench.engine.run import run as engine
from bench.leaderboard.aggregate import refuse, refuse_gaps
from bench.records import reader
from bench.records.reader import CALLED, Kept
from bench.records.writer import LAST, folder_name, stated_span
from bench.records.writer import replace as replace_text
from bench.report import marks

SLACK = 1e-6  # of a range: float32 arithmetic gives a STOI of 1.0000001


def checked(folder: Path, again: bool = False, progress: Progress | None = None) -> Kept:
    """The run in a folder, which may enter; UserError says why it may not. `again`: its tokenizer must give the same scores here."""
    if not (folder / "run.json").is_file():
        raise UserError(f"{folder}: no folder of a run: name one that holds run.json and rows.csv, as results/<suite>/<tokenizer>-<key>")
    run = reader.read(folder)
    refuse(run)
    suite = _suite(run)
    clips = _data(run, suite)
    variant = _variant(run)
    if variant:
        _same(run, _identity(run, variant, suite, clips))
        _refuse_other_training(run, variant)
    facts = {
        m.name: {"unit": m.unit, "better": m.better, "tolerance": m.tolerance, "per": m.per, "span": stated_span(m)} for m in suite.metrics
    }
    stated = {
        fact["name"]: {key: fact.get(key) for key in ("unit", "better", "tolerance", "per", "span")} for fact in run.record["metrics"]
    }
    if stated != facts:
        raise UserError(f"{folder}: run.json's metrics are not those of the suite {suite.name} v{suite.version}: make the run again")
    for problem in _problems(run, suite, clips):
        raise UserError(f"{folder}/rows.csv: {problem}: make the run again with bench run --fresh")
    if again and not suite.sweep:  # timings cannot be reproduced exactly
        if variant is None or clips is None:
            what = "a tokenizer in a file of its own" if variant is None else "data of your own"
            raise UserError(f"{folder}: {what} cannot be run again here: --no-again adds it, marked as not recomputed")
        repeat(run, variant, suite, clips, progress)
    return run


def repeat(run: Kept, variant: Variant, suite: Suite, clips: Data, progress: Progress | None = None) -> None:
    """Runs it again, elsewhere; UserError where a score differs by more than its metric's tolerance."""
    manifests.fetch(clips.name)
    with tempfile.TemporaryDirectory() as results:
        (again,) = engine([variant], suite, clips, Options(Path(results), seed=run.identity["seed"]), progress)
        now = {(row.clip, row.domain, row.metric): row.value for row in again.rows}
    metrics = {m.name: m for m in suite.metrics}
    off = [
        row
        for row in run.rows
        if row.metric in metrics and _moved(row.value, now.get((row.clip, row.domain, row.metric)), metrics[row.metric])
    ]
    if off:
        row = off[0]
        value = now.get((row.clip, row.domain, row.metric), math.nan)
        raise UserError(
            f"{run.where}: {len(off)} scores are not reproduced here, e.g. {row.metric} of {row.clip}: {row.value:g} there, {value:g} here"
        )


def _moved(then: float, now: float | None, metric: Metric) -> bool:
    if now is None or math.isnan(then) != math.isnan(now):
        return True
    return abs(then - now) > metric.tolerance


def _identity(run: Kept, variant: Variant, suite: Suite, clips: Data | None) -> dict[str, object]:
    """What the run would be if it were made here and now; the machine that a timed one names stays its own."""
    known = identity(variant, suite, clips or Data("", (), run.identity["data"]), Options(seed=run.identity["seed"]))
    return {key: value for key, value in known.items() if key != "machine"}


def outdated(run: Kept) -> str:
    """How a run is not of what its names stand for today, as after new weights; "" where it is, or where nobody here knows its suite."""
    if run.suite not in registry.suites():
        return ""
    try:
        suite, variant = registry.load_suite(run.suite), _variant(run)
        clips = _data(run, suite)
        _same(run, {"version": suite.version})
        if variant:
            _same(run, {"tokenizer": _identity(run, variant, suite, clips)["tokenizer"]})
            _refuse_other_training(run, variant)
    except UserError as error:
        return str(error)
    return ""


def _suite(run: Kept) -> Suite:
    """The suite as it is now, with the run's judge."""
    suite = registry.load_suite(run.suite)
    if suite.version != run.identity["version"]:
        raise UserError(f"{run.where}: of {suite.name} v{run.identity['version']}, and that is v{suite.version} now: make the run again")
    if suite.with_sweep is not None:
        suite = suite.with_sweep(run.identity["sweep"])
    if suite.with_asked is not None:
        suite = suite.with_asked(run.identity.get("asked", ""))
    asked = run.identity.get("judge", "")
    if asked == suite.judge:
        return suite
    for name in suite.judges:
        assert suite.with_judge is not None
        try:
            other = suite.with_judge(name)
        except UserError:  # its package is not here, so it may be another one that was asked
            continue
        if other.judge == asked:
            return other
    raise UserError(
        f"{run.where}: its evaluator {asked.split(' ')[0]!r} is not installed here: name one of {', '.join(suite.judges) or 'none'}"
    )


def _data(run: Kept, suite: Suite) -> Data | None:
    """The embedded data of that name, of which the run may have taken some clips; None: data of the user's own."""
    name, count = run.record["data_name"], run.record["clips"]
    if name not in manifests.names():
        return None
    found = manifests.data_of(name, count, scored_domains(suite.metrics), run.identity["seed"])
    if found.sha256 != run.identity["data"]:
        raise UserError(f"{run.where}: its data is not the bundled {name} (sha256 {run.identity['data'][:8]}, not {found.sha256[:8]})")
    return found


def _variant(run: Kept) -> Variant | None:
    """The tokenizer as the registry has it; None for a file of the user's own."""
    known = run.tokenizer["name"] in registry.families()
    if not known and run.identity["code"]:
        return None
    if known and run.identity["code"]:
        raise UserError(f"{run.where}: a file of its own that calls itself {run.label}, which is another tokenizer: rename it")
    return registry.variant(run.label)


def _same(run: Kept, now: Mapping[str, object]) -> None:
    """UserError where the run is not of what its name stands for today."""
    for key, value in now.items():
        stated = run.identity.get(key)
        if stated == value:
            continue
        if isinstance(value, dict) and isinstance(stated, dict):
            key = ", ".join(
                f"{part} ({str(stated.get(part))[:40]}, not {str(value[part])[:40]})" for part in value if stated.get(part) != value[part]
            )
        raise UserError(f"{run.where}: {run.label} is something else here, by its {CALLED.get(key, key)}: make the run again")


def _refuse_other_training(run: Kept, variant: Variant) -> None:
    if marks.of_run(run) != variant.spec.trained_here:
        stated = "names" if variant.spec.trained_here is None else "does not name"
        raise UserError(f"{run.where}: run.json {stated} this project as the one that trained {run.label}: make the run again")


def _problems(run: Kept, suite: Suite, clips: Data | None) -> Iterator[str]:
    """What is wrong with the rows, the first of which is told."""
    by_id = {clip.id: clip for clip in clips.clips} if clips else {}
    metrics = {m.name: m for m in suite.metrics}
    books = {m.of_codebook(k): m for m in suite.metrics if m.per == "codebook" for k in range(len(run.tokenizer["codebooks"]))}
    done: set[str] = set()
    for row in run.rows:
        metric = metrics.get(row.metric) or books.get(row.metric)
        if row.metric != LAST and metric is None:
            yield f"{row.metric} is no column of {suite.name}"
        if row.clip != "*" and clips and (row.clip not in by_id or not _is_of(row, by_id[row.clip])):
            yield f"clip {row.clip!r} ({row.domain}, speaker {row.speaker!r}) is none of {clips.name}"
        if metric is not None and (row.clip == "*") != (metric.per != "clip"):
            yield f"{row.metric} of clip {row.clip!r}: that column has {'one value for all' if row.clip != '*' else 'a value per clip'}"
        if metric is not None:
            yield from _wrong(row, metric)
        if row.metric == LAST:
            done.add(row.clip)
    if len(done) != run.record["clips"]:
        yield f"{len(done)} clips, and run.json says {run.record['clips']}"
    yield from _rate(run)


def _is_of(row: Row, clip: Clip) -> bool:
    return (row.domain, row.speaker) == (clip.domain, clip.speaker)


def _wrong(row: Row, metric: Metric) -> Iterator[str]:
    low, high = metric.span
    if math.isnan(row.value):
        if not row.note:
            yield f"{row.metric} of {row.clip} is missing without a reason"
    elif not (math.isfinite(row.value) and low - SLACK <= row.value <= high + SLACK):
        yield f"{row.metric} of {row.clip} is {row.value:g}, outside of {low:g}..{high:g}"
    if not (math.isfinite(row.weight) and row.weight >= 0):
        yield f"{row.metric} of {row.clip} has the weight {row.weight:g}"


def _rate(run: Kept) -> Iterator[str]:
    """The nominal bitrate is computed again from the codebooks."""
    for row in run.rows:
        if row.metric == "kbps_nominal" and not _equal(row.value, run.bitrate / 1000):
            yield f"kbps_nominal is {row.value:g}, and the codebooks make {run.bitrate / 1000:g}"


def _equal(a: float, b: float) -> bool:
    return math.isnan(a) and math.isnan(b) or math.isclose(a, b, rel_tol=1e-9)


def add(run: Kept, results: Path) -> Path:
    """Takes a checked run in: its run.json and rows.csv, in the place of an older run of that tokenizer. Gives where they lie."""
    folder, home = run.where, results / run.suite
    place = home / f"{folder_name(run.label)}-{run.key}"
    older = [f for f in home.glob(f"{folder_name(run.label)}-????????") if reader.label_of(f) == folder_name(run.label)]
    others = [f for f in home.glob("*-????????") if f not in older]
    if others:
        beside = reader.read(others[0])
        reader.refuse_unlike([beside, run])
        refuse_gaps(beside, run)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as new:
            shutil.copyfile(folder / "rows.csv", Path(new) / "rows.csv")
            replace_text(Path(new) / "run.json", json.dumps(run.record, indent=1, sort_keys=True) + "\n")
            for old in older:
                shutil.rmtree(old)
            shutil.copytree(new, place)
    except OSError as error:
        raise UserError(f"{place}: {error.strerror}: correct it and add the run again") from error
    return place
