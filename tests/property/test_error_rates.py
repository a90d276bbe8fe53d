"""How often tests raise false alarms and intervals miss the truth, found by simulation: what the docstrings of bench/statistics claim.

`pytest tests/property/test_error_rates.py -m slow -s` prints the table of 2,000 data sets a line; the default tests look at few of them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from bench.api import POSITIVE, SHARE, Metric, Row
from bench.metrics import MOS
from bench.statistics.bootstrap import difference, mean, summary

CLIPS = 3  # of each speaker
Maker = Callable[[np.random.Generator, int], "Scores"]


@dataclass(frozen=True)
class Scores:
    """Two systems on the same clips [speakers, CLIPS], alike but for chance; `truth` is the mean of the first's kind."""

    a: np.ndarray
    b: np.ndarray
    weights: np.ndarray
    span: tuple[float, float]
    truth: float

    @property
    def clusters(self) -> list[str]:
        return [str(speaker) for speaker in range(len(self.a)) for _ in range(CLIPS)]

    def p(self) -> float:
        """Of the paired difference, which is none."""
        weights = self.weights.ravel()
        return difference(self.a.ravel(), self.b.ravel(), (weights, weights), self.clusters, span=self.span).p

    def covers(self) -> bool:
        """Whether the interval of the first system's mean holds the truth."""
        found = mean(self.a.ravel(), self.weights.ravel(), self.clusters, span=self.span)
        assert self.span[0] <= found.low <= found.high <= self.span[1]
        return found.low <= self.truth <= found.high


def pesq_like(rng: np.random.Generator, speakers: int) -> Scores:
    """Scores about 2.5 whose spread is of speakers, clips and the systems' luck with each."""
    clip = 2.5 + rng.normal(0, 0.35, (speakers, 1)) + rng.normal(0, 0.3, (speakers, CLIPS))
    a, b = (clip + rng.normal(0, 0.1, (speakers, 1)) + rng.normal(0, 0.15, (speakers, CLIPS)) for _ in range(2))
    return Scores(a.clip(*MOS), b.clip(*MOS), np.ones_like(a), MOS, 2.5)


def word_errors(rng: np.random.Generator, speakers: int) -> Scores:
    """Error rates of clips of 5 to 29 words; some speakers are harder."""
    words, hard = rng.integers(5, 30, (speakers, CLIPS)), rng.beta(2, 12, (speakers, 1))
    a, b = (rng.binomial(words, hard) / words for _ in range(2))
    return Scores(a, b, words.astype(float), POSITIVE, 2 / 14)


def heavy_tailed(rng: np.random.Generator, speakers: int) -> Scores:
    """Decibels with Student's t of three degrees of freedom, for speakers and for clips."""
    clip = rng.standard_t(3, (speakers, 1)) * 2 + 5
    a, b = (clip + rng.standard_t(3, (speakers, 1)) + rng.standard_t(3, (speakers, CLIPS)) / 2 for _ in range(2))
    return Scores(a, b, np.ones_like(a), (-math.inf, math.inf), 5.0)


def skewed(rng: np.random.Generator, speakers: int) -> Scores:
    """Differences with a long tail on one side: exponential over speakers."""
    a = rng.exponential(1, (speakers, 1)) + rng.normal(0, 0.3, (speakers, CLIPS))
    return Scores(a, np.ones_like(a), np.ones_like(a), (-math.inf, math.inf), 1.0)


KINDS: tuple[Maker, ...] = (pesq_like, word_errors, heavy_tailed, skewed)


def alarms(make: Maker, speakers: int, sets: int) -> float:
    """The share of data sets without any difference whose p is below 5 %."""
    rng = np.random.default_rng([speakers, KINDS.index(make)])
    return float(np.mean([make(rng, speakers).p() < 0.05 for _ in range(sets)]))


def coverage(make: Maker, speakers: int, sets: int) -> float:
    """The share of data sets whose 95 % interval holds the truth."""
    rng = np.random.default_rng([speakers, KINDS.index(make)])
    return float(np.mean([make(rng, speakers).covers() for _ in range(sets)]))


@pytest.mark.slow
@pytest.mark.parametrize("speakers", [5, 7, 10, 20, 60])
@pytest.mark.parametrize("make", KINDS)
def test_error_rates_are_those_that_are_claimed(make: Maker, speakers: int) -> None:
    false, held = alarms(make, speakers, 2000), coverage(make, speakers, 2000)
    print(f"\n{make.__name__:12} {speakers:2} speakers: {100 * false:4.1f} % false alarms at 5 %, {100 * held:4.1f} % coverage", end="")
    if make is skewed:
        assert speakers < 20 or false <= 0.08
        return
    assert false <= 0.06
    assert speakers < 10 or 0.93 <= held <= 0.97


@pytest.mark.parametrize("make", [word_errors, heavy_tailed])
def test_a_few_hundred_tests_of_nothing_raise_few_alarms(make: Maker) -> None:
    assert alarms(make, 20, 500) <= 0.06


@pytest.mark.parametrize("make", [pesq_like, word_errors])
def test_a_thousand_intervals_cover_the_truth(make: Maker) -> None:
    assert 0.93 <= coverage(make, 10, 1000) <= 0.97


@pytest.mark.parametrize("span", [SHARE, POSITIVE, MOS, (-math.inf, 0.0)])
def test_no_interval_leaves_its_span(span: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    metric = Metric("x", "", "higher", {"speech": 16_000}, 0.01, None, span=span)
    low, high = max(span[0], -10.0), min(span[1], 10.0)
    for a, b in rng.uniform(0.02, 3, (200, 2)):
        values = low + (high - low) * rng.beta(a, b, 6)
        found = summary("speech", metric, [Row(str(i), "speech", "", "x", float(value)) for i, value in enumerate(values)])
        assert span[0] <= found.low <= found.mean <= found.high <= span[1]
