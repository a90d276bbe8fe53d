"""The project's own entries: every tokenizer of the registry that is trained or needs no training, and needs no download."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import registry
from bench.api import Suite, UserError, Variant
from bench.catalog import names
from bench.data.manifests import fetch, open_data
from bench.engine.run import Options, Progress
from bench.engine.run import run as engine
from bench.records.reader import label_of
from bench.records.writer import folder_name
from bench.weights import download


def candidates(suite: Suite) -> list[Variant]:
    """Those that the suite can ask."""
    variants = [variant for family in registry.families().values() for variant in family.values()]
    here = [v for v in variants if v.spec.trained and all(not f.url and download.shipped(f.file).is_file() for f in v.files)]
    return [v for v in here if (v.spec.decodes or not suite.needs_decode) and (suite.reads_alignments or not v.spec.labelled)]


def run(
    named: Sequence[tuple[str, str]], only: Sequence[str], results: Path, progress: Progress | None = None, data: str | None = None
) -> Iterator[str]:
    """Each (suite, judge or "") for its candidates, or for those of them that the words of `only` name; runs of theirs of something
    older go. Tells of each run as it ends. `data`: None for each suite's own."""
    suites = [_suite(name, judge) for name, judge in named]
    labels = [variant.spec.label for suite in suites for variant in candidates(suite)]
    wanted = names.tokenizers(only) if only else labels
    for word in names.split(only) if only else ():
        if not set(names.tokenizers([word])) & set(labels):
            raise UserError(f"{word} is no tokenizer of the leaderboards: name one that is trained and needs no download")
    for suite in suites:
        chosen = [v for v in candidates(suite) if v.spec.label in wanted]
        fetch(data or suite.data)
        for done in engine(chosen, suite, open_data(data or suite.data), Options(results), progress):
            label = folder_name(done.variant.spec.label)
            for old in done.folder.parent.glob(f"{label}-????????"):
                if label_of(old) == label and old != done.folder:
                    shutil.rmtree(old)
                    yield f"taken away: {old}"
            yield f"{done.folder}: {done.fresh_clips} clips now, {len(done.data.clips) - done.fresh_clips} before"


def _suite(name: str, judge: str) -> Suite:
    suite = registry.load_suite(name)
    if not judge:
        return suite
    if suite.with_judge is None:
        raise UserError(f"the suite {name} has no evaluator: give --run {name}")
    return suite.with_judge(judge)
