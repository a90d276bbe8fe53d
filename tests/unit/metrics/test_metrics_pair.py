"""Many pairs at once have the scores of each alone; what metrics share is worked out once; a pair that is unfit spoils no other."""

import math

import pytest
import torch

from bench.api import Domain, Metric
from bench.metrics import METRICS, pitch
from bench.metrics.pair import Pairs, SignalMetric, shared
from bench.metrics.waveform import si_sdr
from tests.conftest import speech_like

SIGNAL: list[tuple[Metric, Domain]] = [
    (metric, domain) for metric in METRICS.values() if metric.score is not None for domain in metric.rates if domain != "general"
]


def noisy(seconds: float, rate: int, seed: int, lag: int, level: float) -> tuple[torch.Tensor, torch.Tensor]:
    ref = speech_like(seconds, rate, seed)
    return ref, 0.8 * ref.roll(lag) + level * ref.std() * torch.randn(len(ref), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("metric", "domain"), SIGNAL, ids=[f"{metric.name}-{domain}" for metric, domain in SIGNAL])
def test_many_pairs_have_the_scores_of_each_alone(metric: Metric, domain: Domain):
    """Of unlike lengths and lags, among them one that is too short, a silent one, one with NaN, one that is torn, and an exact copy."""
    rate = metric.rates[domain]
    pairs = [noisy(2.6, rate, 0, 24, 0.05), noisy(1.1, rate, 1, -300, 0.5), noisy(3.3, rate, 2, 4000, 0.01), noisy(0.03, rate, 3, 0, 0.1)]
    pairs += [(pairs[0][0], 0 * pairs[0][0]), (pairs[1][0], pairs[1][1].clone().fill_(math.nan)), (pairs[0][0], pairs[0][1][:-1])]
    pairs += [(pairs[1][0], pairs[1][0].clone()), noisy(1.7, rate, 5, 0, 0.2)]
    assert isinstance(metric.score, SignalMetric)
    together = metric.score.batch(Pairs(pairs, rate))
    for found, (ref, est) in zip(together, pairs, strict=True):
        alone = metric.score(ref, est, rate)
        assert found.note == alone.note and found.value == pytest.approx(alone.value, rel=1e-5, abs=metric.tolerance / 1000, nan_ok=True)


def test_work_is_done_once_for_the_same_pairs_and_argument():
    calls = []

    @shared
    def work(pairs: Pairs, window: int) -> int:
        calls.append(window)
        return len(calls)

    ref, est = torch.zeros(4), torch.zeros(4)  # equal samples are not the same pairs
    first, second = Pairs([(ref, est)], 8_000), Pairs([(ref, est)], 8_000)
    for _ in range(3):  # as a suite does: metric by metric
        for pairs in (first, second):
            work(pairs, 1)
            work(pairs, 2)
    assert len(calls) == 4


def test_three_pitch_columns_track_pairs_once(monkeypatch: pytest.MonkeyPatch):
    tracked = []
    original = pitch.cheapest
    monkeypatch.setattr(pitch, "cheapest", lambda signals: (tracked.append(len(signals)), original(signals))[1])
    pairs = Pairs([(speech_like(1, 16_000), est) for est in (speech_like(1, 16_000, seed=2), torch.zeros(8))], 16_000)
    for column in (pitch.f0_rmse, pitch.f0_corr, pitch.vuv_f1):
        column.batch(pairs)
    assert tracked == [2], "both sides of the one pair that is fit"


def test_a_wrong_shape_is_the_callers_error():
    with pytest.raises(ValueError, match=r"one channel"):
        si_sdr(torch.zeros(1, 100), torch.zeros(1, 100), 16_000)


@pytest.mark.parametrize("peak", [2**-16, 2**-17])
def test_silence_is_less_than_half_a_16_bit_step(peak: float):
    wav = torch.zeros(100)
    wav[3] = -peak
    assert Pairs([(wav, wav)], 100).unfit() == ["" if peak == 2**-16 else "silent reference"]
