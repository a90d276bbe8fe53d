"""Original and reconstruction of a clip, and the scores of signal metrics on them: in worker processes, or on a GPU many clips at once.

Each signal is resampled once from its own rate to the one rate that a metric states for the domain; channels are scored one by one, then
averaged. A delay that the tokenizer states is taken out first, but for metrics that are raw; nothing else is aligned, normalised or
clipped unless the metric's name says so.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Generic, TypeVar

import torch
from torch import Tensor

from bench.api import Audio, Domain, Job, Reconstruction, Score, Spec
from bench.data.audio import resample
from bench.engine.worker_threads import ahead
from bench.metrics import METRICS
from bench.metrics.delay import shifted
from bench.metrics.pair import Pairs, SignalMetric
from bench.records.hardware import cores

Key = TypeVar("Key")
MOST, MOST_SECONDS = 64, 240.0  # clips that a GPU scores at once, and their audio, each filled up to the longest


@dataclass(frozen=True)
class Pair:
    """What is needed to score one clip."""

    ref: Audio  # [C, T]
    est: Audio
    domain: Domain
    delay: float = 0.0  # s by which est lags ref, as the tokenizer states it
    resampled: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)  # ref and est [C, T] by rate in Hz

    def at(self, rate: int) -> tuple[Tensor, Tensor]:
        """ref and est [C, T] at that rate, of one length."""
        if rate not in self.resampled:
            ref, est = (resample(side.wav, side.sample_rate, rate) for side in (self.ref, self.est))
            # two roundings of one length differ by a sample
            self.resampled[rate] = ref, torch.nn.functional.pad(est, (0, ref.shape[-1] - est.shape[-1]))
        return self.resampled[rate]

    def heard(self, rate: int, raw: bool) -> tuple[Tensor, Tensor]:
        """The same without the stated delay, or, raw, with it: what both have [C, T']."""
        return self.at(rate) if raw else shifted(*self.at(rate), round(self.delay * rate))

    def rate(self, step: str) -> int:
        """At which the metric of that name hears it."""
        return METRICS[step].rates[self.domain]


def pair_of(item: Reconstruction, spec: Spec) -> Pair:
    """Original and reconstruction as they are compared. Another clip in its place, the floor, is repeated to the length of the original."""
    est, rate = item.est.wav, item.est.sample_rate
    if spec.shuffled and est.shape[-1]:
        length = math.ceil(item.ref.wav.shape[-1] * rate / item.ref.sample_rate)
        est = est.repeat(1, -(-length // est.shape[-1]))[:, :length]
    return Pair(item.ref, Audio(est, rate), item.clip.domain, spec.delay / rate)


def score(pair: Pair, steps: Sequence[str]) -> Iterator[Score]:
    """One Score for each named metric."""
    together: dict[tuple[int, bool], Pairs] = {}
    for name in steps:
        rate, raw = way = pair.rate(name), METRICS[name].raw
        if way not in together:
            together[way] = Pairs(zip(*pair.heard(rate, raw), strict=True), rate)
        yield _mean(_metric(name).batch(together[way]))


def _metric(name: str) -> SignalMetric:
    found = METRICS[name].score
    assert isinstance(found, SignalMetric)  # only those become steps
    return found


def _mean(channels: Sequence[Score]) -> Score:
    value = sum(score.value for score in channels) / len(channels)
    return Score(value, channels[0].weight, next((score.note for score in channels if score.note), ""))


def on_gpu(device: str, jobs: Iterator[Job[Key, Pair]]) -> Iterator[tuple[Job[Key, Pair], dict[str, Score]]]:
    """Each job as it is left for a worker process, with the signals that the C code needs and no others; and the scores that are known.

    Many clips at once on the device, while all cores resample the next ones. A clip that finds no room there is left as it is.
    """
    with ThreadPoolExecutor(cores()) as threads:
        for group in ahead((_resampled(threads, group) for group in _groups(jobs)), 1):
            found = _on(device, [job.payload for job in group], group[0].steps)
            yield from (_rest(job, scores) for job, scores in zip(group, found, strict=True))


Conditions = Mapping[str, Pair]
"""The pairs of one clip by what was done to it; a step is then `condition metric`."""


def conditions_on_gpu(device: str, jobs: Iterator[Job[Key, Conditions]]) -> Iterator[tuple[Job[Key, Conditions], dict[str, Score]]]:
    """`on_gpu` for clips of several pairs: those of some clips that are asked for the same share a batch."""
    without: deque[Job[Key, Conditions]] = deque()  # of what could not be coded

    def apart() -> Iterator[Job[_Part[Key], Pair]]:
        some: list[Job[_Part[Key], Pair]] = []
        for job in jobs:
            by_condition = {name: tuple(s.split(" ")[1] for s in steps) for name, steps in groupby(job.steps, lambda s: s.split(" ")[0])}
            if not by_condition:
                without.append(job)
            whole = _Whole(job, len(by_condition))
            some += [Job(_Part(whole, name), job.payload[name], metrics) for name, metrics in by_condition.items()]
            if len(some) >= MOST:
                yield from sorted(some, key=lambda part: (part.payload.domain, part.steps))
                some = []
        yield from sorted(some, key=lambda part: (part.payload.domain, part.steps))

    for part, scores in on_gpu(device, apart()):
        whole = part.key.whole
        whole.add(part.key.condition, part, scores)
        while without:
            yield without.popleft(), {}
        if not whole.missing:
            yield Job(whole.job.key, whole.left, whole.steps), whole.scores
    yield from ((job, {}) for job in without)


@dataclass
class _Whole(Generic[Key]):
    """A job whose conditions come back one by one."""

    job: Job[Key, Conditions]
    missing: int
    left: dict[str, Pair] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    scores: dict[str, Score] = field(default_factory=dict)

    def add(self, condition: str, part: Job[_Part[Key], Pair], scores: Mapping[str, Score]) -> None:
        """What is left of a condition, and its known scores."""
        self.missing -= 1
        self.scores |= {f"{condition} {name}": score for name, score in scores.items()}
        if part.steps:
            self.left[condition] = part.payload
            self.steps += tuple(f"{condition} {name}" for name in part.steps)


@dataclass(frozen=True)
class _Part(Generic[Key]):
    """One condition of a job."""

    whole: _Whole[Key]
    condition: str


def _groups(jobs: Iterator[Job[Key, Pair]]) -> Iterator[list[Job[Key, Pair]]]:
    """Neighbours that are asked for the same."""
    group: list[Job[Key, Pair]] = []
    longest = 0.0  # s
    for job in jobs:
        seconds = job.payload.ref.wav.shape[-1] / job.payload.ref.sample_rate
        alike = group and (job.payload.domain, job.steps) == (group[0].payload.domain, group[0].steps)
        if group and not (alike and len(group) < MOST and max(longest, seconds) * (len(group) + 1) <= MOST_SECONDS):
            yield group
            group, longest = [], 0.0
        group.append(job)
        longest = max(longest, seconds)
    if group:
        yield group


def _resampled(threads: ThreadPoolExecutor, group: list[Job[Key, Pair]]) -> list[Job[Key, Pair]]:
    needed = [(job.payload, rate) for job in group for rate in {job.payload.rate(name) for name in job.steps}]
    list(threads.map(lambda one: one[0].at(one[1]), needed))
    return group


def _rest(job: Job[Key, Pair], scores: dict[str, Score]) -> tuple[Job[Key, Pair], dict[str, Score]]:
    pair, steps = job.payload, tuple(name for name in job.steps if name not in scores)
    silent = Audio(pair.ref.wav[:, :0], pair.ref.sample_rate)
    left = Pair(silent, silent, pair.domain, pair.delay, {rate: pair.resampled[rate] for rate in {pair.rate(name) for name in steps}})
    return Job(job.key, left, steps), scores


def _on(device: str, pairs: Sequence[Pair], steps: Sequence[str]) -> list[dict[str, Score]]:
    """Scores of pairs of one domain; where they do not fit, of its halves, one after the other."""
    try:
        return _together(device, pairs, [name for name in steps if not _metric(name).on_cpu])
    except RuntimeError:  # out of memory, which Fourier transforms call an internal error
        torch.cuda.empty_cache()
    half = len(pairs) // 2
    return _on(device, pairs[:half], steps) + _on(device, pairs[half:], steps) if half else [{}]


@torch.inference_mode()
def _together(device: str, pairs: Sequence[Pair], steps: Sequence[str]) -> list[dict[str, Score]]:
    scores: list[dict[str, Score]] = [{} for _ in pairs]

    def way(name: str) -> tuple[int, bool]:
        return pairs[0].rate(name), METRICS[name].raw

    for (rate, raw), names in groupby(sorted(steps, key=way), key=way):
        signals = [[side.to(device) for side in pair.heard(rate, raw)] for pair in pairs]
        together = Pairs([both for sides in signals for both in zip(*sides, strict=True)], rate)
        for name in names:
            found = iter(_metric(name).batch(together))
            for clip, sides in zip(scores, signals, strict=True):
                clip[name] = _mean(list(islice(found, len(sides[0]))))
    return scores
