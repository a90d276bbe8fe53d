"""Original and reconstruction of a clip, and the scores of signal metrics on them: what suites send to worker processes.

Each signal is resampled once from its own rate to the one rate that a metric states for the domain; channels are scored one by one, then
averaged. Nothing is aligned, normalised or clipped unless the metric's name says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import Domain, Score
from bench.audio import Audio, resample
from bench.metrics import METRICS


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
