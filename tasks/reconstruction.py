"""Reconstruction quality clip by clip, with bitrate and token rate.

Signal metrics compare the original with the reconstruction as bench/engine/scoring.py says: each resampled once, to the metric's rate, and
a delay that the tokenizer states taken out. Of tokenizers that state one, the columns `_raw` have it left in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.api import Clip, Job, Row, Score, Suite
from bench.engine.scoring import Pair, on_gpu, pair_of, score
from bench.metrics import METRICS
from bench.metrics.seams import RATE, seam_db
from bench.tokens.codes import CodeCounts, rates

if TYPE_CHECKING:
    from pathlib import Path

    from bench.api import Reconstruction, Session, Spec


def run(session: Session) -> Iterator[list[Row]]:
    """Rows of one clip at a time, then the pooled ones of each domain; in a shard, the counts that they are made of."""
    counts = CodeCounts(session.spec)
    jobs = _jobs(session, counts)
    for facts, scores in session.scores(score, _on_gpu(session.device, jobs) if session.on_gpu else jobs):
        yield session.clip_rows(facts.clip, facts.scores | dict(zip(facts.steps, scores, strict=True)), facts.seconds)
    if not session.spec.codebooks:  # audio that is scored without its codes
        return
    for item in session.reconstructions(session.done):  # a resumed run: their codes count too, and were not kept
        counts.add(item)
    if not session.whole:
        return counts.keep(session.folder)
    for domain in sorted(counts.seconds):
        yield counts.rows(domain)


def merge(spec: Spec, shards: Sequence[Path], whole: Path) -> list[Row]:
    """The pooled rows, from how often each code came in each shard."""
    counts = CodeCounts(spec)
    for shard in shards:
        counts.take(shard)
    return [row for domain in sorted(counts.seconds) for row in counts.rows(domain)]


@dataclass(frozen=True)
class Facts:
    """What is known of a clip in this process, while its audio is scored in another."""

    clip: Clip
    seconds: float
    steps: tuple[str, ...]
    scores: dict[str, Score]


def _jobs(session: Session, counts: CodeCounts) -> Iterator[Job[Facts, Pair]]:
    for item in session.reconstructions(session.todo):
        counts.add(item)
        expected = session.expected(item.clip.domain)
        if item.failure:
            steps, known = (), {metric.name: Score(math.nan, note=item.failure) for metric in expected}
        else:
            steps, known = tuple(metric.name for metric in expected if metric.score is not None), rates(item)
            known["tail_loss_ms"] = Score(1000 * item.tail_loss / item.est.sample_rate)
        pair = pair_of(item, session.spec)
        if session.spec.longest is not None and not item.failure:
            known |= _of_seams(item, pair)
        yield Job(Facts(item.clip, item.seconds, steps, known), pair, steps)


def _of_seams(item: Reconstruction, pair: Pair) -> dict[str, Score]:
    """Into how many pieces a clip was cut, and what that costs where they meet."""
    ref, est = pair.heard(RATE, raw=False) if item.seams else (item.ref.wav, item.est.wav)
    return {"pieces": Score(1 + len(item.seams)), "seam_db": seam_db(ref, est, [seam - pair.delay for seam in item.seams])}


def _on_gpu(device: str, jobs: Iterator[Job[Facts, Pair]]) -> Iterator[Job[Facts, Pair]]:
    """The same jobs with the scores that a GPU can give; what is left of each is for a worker process."""
    for job, scores in on_gpu(device, jobs):
        yield replace(job, key=replace(job.key, steps=job.steps, scores=job.key.scores | scores))


SUITE = Suite(
    name="reconstruction",
    version=2,
    about="reconstruction quality, bitrate and token rate",
    metrics=tuple(metric for metric in METRICS.values() if metric.name != "mcd"),  # that takes as long as all others: a suite of its own
    data="mini",
    run=run,
    merge=merge,
    headline=("kbps_packed", "tokens_per_s", "pesq_wb", "stoi", "mel_dac"),
    overview=("kbps_packed", "tokens_per_s", "pesq_wb", "stoi"),
)
