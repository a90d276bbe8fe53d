"""Mel-cepstral distortion as papers on speech report it. Speech alone, at 16 kHz; see bench/metrics/cepstral.py for the definition."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.api import Clip, Job, Row, Score, Suite
from bench.engine.scoring import Pair, pair_of, score
from bench.metrics import METRICS

if TYPE_CHECKING:
    from bench.api import Session

MCD = METRICS["mcd"]


def run(session: Session) -> Iterator[list[Row]]:
    """Rows of one clip at a time. A clip of another domain has no column here, and is not encoded."""
    for clip in session.todo:
        if clip.domain not in MCD.rates:
            yield session.clip_rows(clip, {}, 0.0)
    for (clip, seconds, failure), found in session.scores(score, _jobs(session)):
        yield session.clip_rows(clip, {MCD.name: found[0] if found else Score(math.nan, note=failure)}, seconds)


def _jobs(session: Session) -> Iterator[Job[tuple[Clip, float, str], Pair]]:
    for item in session.reconstructions(clip for clip in session.todo if clip.domain in MCD.rates):
        key = item.clip, item.seconds, item.failure
        yield Job(key, pair_of(item, session.spec), () if item.failure else (MCD.name,))


SUITE = Suite(
    name="mcd",
    version=1,
    about="mel-cepstral distortion (MCD) as papers on speech report it",
    metrics=(MCD,),
    data="mini",
    run=run,
)
