"""How much of the audio survives encode -> decode, clip by clip, and what it costs in bits and tokens.

Signal metrics compare the original, resampled once from the file's rate, with the reconstruction, resampled once from the tokenizer's,
at the one rate that the metric states for the clip's domain; a stereo tokenizer is scored by channel, then averaged. Nothing is
aligned, normalised or clipped unless the metric's name says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.api import Clip, Domain, Row, Score, Spec, Suite
from bench.audio import Audio, resample
from bench.metrics import METRICS
from bench.pool import Job

if TYPE_CHECKING:
    from bench.codec import Reconstruction
    from bench.run import Session

LARGEST_COUNTED = 2**16  # a codebook beyond it (raw samples) has too few draws for an entropy


@dataclass(frozen=True)
class Pair:
    """What a worker process needs to score one clip."""

    ref: Audio
    est: Audio
    domain: Domain


def score(pair: Pair, steps: Sequence[str]) -> Iterator[Score]:
    """One Score for each named metric; each signal is resampled once a rate."""
    at_rate: dict[int, list[tuple[Tensor, Tensor]]] = {}  # metrics know a pair again by its tensors: the same ones for each
    for name in steps:
        metric = METRICS[name]
        rate = metric.rates[pair.domain]
        if rate not in at_rate:
            at_rate[rate] = _channels_at(pair, rate)
        assert metric.score is not None  # only those become steps
        yield _mean([metric.score(ref, est, rate) for ref, est in at_rate[rate]])


def _channels_at(pair: Pair, rate: int) -> list[tuple[Tensor, Tensor]]:
    ref = resample(pair.ref.wav, pair.ref.sample_rate, rate)
    est = resample(pair.est.wav, pair.est.sample_rate, rate)
    # two roundings of one length differ by a sample; the shuffled floor's estimate by any number
    est = torch.nn.functional.pad(est, (0, ref.shape[-1] - est.shape[-1]))
    return list(zip(ref, est, strict=True))


def _mean(channels: list[Score]) -> Score:
    value = sum(score.value for score in channels) / len(channels)
    return Score(value, channels[0].weight, next((score.note for score in channels if score.note), ""))


def run(session: Session) -> Iterator[list[Row]]:
    """Rows of one clip at a time, then the pooled ones of each domain."""
    counts = CodeCounts(session.spec)
    done = [clip for clip in session.data.clips if clip not in session.todo]
    for facts, scores in session.scores(score, _jobs(session, counts)):
        yield session.clip_rows(facts.clip, facts.scores | dict(zip(facts.steps, scores, strict=True)), facts.seconds)
    for item in session.reconstructions(done):  # a resumed run: their codes count too, and were not kept
        counts.add(item)
    for domain in sorted(counts.seconds):
        yield counts.rows(domain)


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
            steps, known = tuple(metric.name for metric in expected if metric.score is not None), _rates(item)
        yield Job(Facts(item.clip, item.seconds, steps, known), Pair(item.ref, item.est, item.clip.domain), steps)


def _rates(item: Reconstruction) -> dict[str, Score]:
    return {
        "tail_loss_ms": Score(1000 * item.tail_loss / item.est.sample_rate),
        "tokens_per_s": Score(item.tokens / item.seconds, item.seconds),
        "kbps_packed": Score(item.packed_bits / item.seconds / 1000, item.seconds),
    }


class CodeCounts:
    """How often each code of each codebook came, pooled over the clips of a domain (a mean of per-clip entropies would be too low)."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, list[Tensor]] = {}
        self.countable = all(c.size <= LARGEST_COUNTED and not math.isnan(c.rate) for c in spec.codebooks)

    def add(self, item: Reconstruction) -> None:
        """Counts one clip's codes [K, F]."""
        domain = item.clip.domain
        self.seconds[domain] = self.seconds.get(domain, 0.0) + item.seconds
        if self.countable and not item.failure:
            new = [torch.bincount(codes, minlength=c.size) for codes, c in zip(item.codes, self.spec.codebooks, strict=True)]
            old = self.counts.get(domain)
            self.counts[domain] = [a + b for a, b in zip(old, new, strict=True)] if old else new

    def rows(self, domain: str) -> list[Row]:
        """kbps_nominal, from the spec, and kbps_entropy: zero-order entropy of each codebook x its rate. NaN where it has no meaning."""
        nominal = self.spec.bitrate / 1000
        rows = [Row("*", domain, "", "kbps_nominal", nominal, note="" if math.isfinite(nominal) else "variable rate: see kbps_packed")]
        if domain in self.counts:
            bits = sum(_entropy(n) * c.rate for n, c in zip(self.counts[domain], self.spec.codebooks, strict=True))
            return [*rows, Row("*", domain, "", "kbps_entropy", bits / 1000)]
        why = "codes are raw samples or bytes of varying rate" if not self.countable else "no clip was encoded"
        return [*rows, Row("*", domain, "", "kbps_entropy", math.nan, note=why)]


def _entropy(counts: Tensor) -> float:
    p = counts.double() / counts.sum()
    return float(torch.special.entr(p).sum() / math.log(2))


SUITE = Suite(
    name="reconstruction",
    version=1,
    about="how much of the audio survives encode -> decode, and what it costs in bits and tokens",
    metrics=tuple(METRICS.values()),
    data="mini",
    run=run,
)
