"""The project's own entries: every tokenizer of the registry that is trained or needs no training.

Weights that have to be downloaded are so where that is asked for; a tokenizer whose weights cannot be had is named, and the others run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench import registry
from bench.api import Checkpoint, Suite, UserError, Variant
from bench.catalog import names
from bench.data.manifests import fetch, open_data
from bench.engine.run import Options, Progress
from bench.engine.run import run as engine
from bench.records.reader import label_of
from bench.records.writer import folder_name
from bench.weights import download


@dataclass(frozen=True)
class Wanted:
    """What is run."""

    suites: Sequence[tuple[str, str]]  # with the judge or what is asked for, or ""
    only: Sequence[str] = ()  # words that name tokenizers; none: all
    data: str | None = None  # a name, a manifest or a folder; None: each suite's own
    downloads: bool = False  # whether weights are fetched that are not shipped


def candidates(suite: Suite, downloads: bool = False) -> list[Variant]:
    """Those that the suite can ask. `downloads`: also those whose weights have a pinned place."""
    variants = [variant for family in registry.families().values() for variant in family.values()]
    here = [v for v in variants if v.spec.trained and all(_shipped(f) or downloads and bool(f.url and f.sha256) for f in v.files)]
    return [v for v in here if (v.spec.decodes or not suite.needs_decode) and (suite.reads_alignments or not v.spec.labelled)]


def _shipped(file: Checkpoint) -> bool:
    return not file.url and download.shipped(file.file).is_file()


def run(wanted: Wanted, options: Options, progress: Progress | None = None) -> Iterator[str]:
    """Each suite for its candidates, or for those of them that are named; runs of theirs of something older go. Tells of each run as it
    ends, and of each tokenizer that is left out as its weights cannot be had."""
    suites = [suite_of(name, judge) for name, judge in wanted.suites]
    found = {variant.spec.label: variant for suite in suites for variant in candidates(suite, wanted.downloads)}
    labels = names.tokenizers(wanted.only) if wanted.only else list(found)
    for word in names.split(wanted.only) if wanted.only else ():
        if not set(names.tokenizers([word])) & set(found):
            need = "has weights with a pinned place" if wanted.downloads else "needs no download"
            raise UserError(f"{word} is no tokenizer of the leaderboards: name one that is trained and {need}")
    absent = {label: why for label, variant in found.items() if label in labels and (why := _why_absent(variant))}
    yield from (f"left out: {label}: {why}" for label, why in absent.items())
    for suite in suites:
        chosen = [v for v in candidates(suite, wanted.downloads) if v.spec.label in labels and v.spec.label not in absent]
        fetch(wanted.data or suite.data)
        for done in engine(chosen, suite, open_data(wanted.data or suite.data), options, progress):
            label = folder_name(done.variant.spec.label)
            for old in done.folder.parent.glob(f"{label}-????????"):
                if label_of(old) == label and old != done.folder:
                    shutil.rmtree(old)
                    yield f"taken away: {old}"
            yield f"{done.folder}: {done.fresh_clips} clips now, {len(done.data.clips) - done.fresh_clips} before"


def _why_absent(variant: Variant) -> str:
    """Why its weights cannot be had; "" where they are on this machine, now at the latest."""
    try:
        for file in variant.files:
            download.locate(file, variant.spec.licence)
    except UserError as error:
        return str(error)
    return ""


def suite_of(name: str, judge: str) -> Suite:
    """The suite with that evaluator or, where it has none, asked for that; UserError where it has neither."""
    suite = registry.load_suite(name)
    if not judge:
        return suite
    if suite.with_judge:
        return suite.with_judge(judge)
    if suite.with_asked:
        return suite.with_asked(judge)
    raise UserError(f"the suite {name} has no evaluator and no options: give --run {name}")
