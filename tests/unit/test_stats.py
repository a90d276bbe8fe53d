"""Means and intervals: weighted, clustered, honest about what is missing."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.api import Metric, Row
from bench.stats import bootstrap, reasons, summarise

STOI = Metric("stoi", "", "higher", {"speech": 16_000}, 0.01, None)


def rows(values: list[float], weights: list[float] | None = None, speakers: list[str] | None = None) -> list[Row]:
    return [
        Row(f"c{i}", "speech", speakers[i] if speakers else "", "stoi", v, weights[i] if weights else 1.0, "" if v == v else "why")
        for i, v in enumerate(values)
    ]


def test_a_mean_is_weighted_and_missing_scores_are_counted_not_imputed() -> None:
    (s,) = summarise(rows([1.0, 2.0, math.nan, 4.0], [1, 1, 5, 2]), [STOI])
    assert s.mean == pytest.approx(11 / 4) and (s.n, s.n_missing) == (3, 1)


def test_nothing_but_missing_scores_has_no_mean() -> None:
    (s,) = summarise(rows([math.nan, math.nan]), [STOI])
    assert math.isnan(s.mean) and (s.n, s.n_missing) == (0, 2)


def test_the_interval_agrees_with_scipy_where_every_clip_is_its_own_cluster() -> None:
    values = np.random.default_rng(1).normal(3, 1, 60)
    low, high = bootstrap(values, np.ones(60), [str(i) for i in range(60)], seed=0, draws=20_000)
    theirs = scipy_stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=2).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_clips_of_one_speaker_do_not_count_as_many_voices() -> None:
    speakers = [str(i % 6) for i in range(60)]
    values = np.array([float(s) for s in speakers])
    alone = bootstrap(values, np.ones(60), [str(i) for i in range(60)], seed=0)
    clustered = bootstrap(values, np.ones(60), speakers, seed=0)
    assert clustered[1] - clustered[0] > 2 * (alone[1] - alone[0])


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(300):
        voices = rng.normal(0, 1, 30)
        values = (voices[:, None] + rng.normal(0, 0.5, (30, 3))).ravel()
        low, high = bootstrap(values, np.ones(90), [str(i // 3) for i in range(90)], seed=int(rng.integers(1 << 30)), draws=500)
        hits += low <= 0 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_one_voice_has_no_interval() -> None:
    (s,) = summarise(rows([1.0, 2.0], speakers=["anna", "anna"]), [STOI])
    assert math.isnan(s.low) and math.isnan(s.high) and s.mean == 1.5


def test_intervals_depend_on_the_seed_alone() -> None:
    values = np.arange(10.0)
    clusters = [str(i) for i in range(10)]
    assert bootstrap(values, np.ones(10), clusters, 3) == bootstrap(values, np.ones(10), clusters, 3)


def test_reasons_name_metrics_and_count_clips() -> None:
    found = [Row("a", "speech", "", m, math.nan, note="silent") for m in ("stoi", "estoi")]
    found += [Row("b", "speech", "", "stoi", math.nan, note="silent"), Row("b", "speech", "", "estoi", 1.0)]
    assert reasons(found) == [("estoi, stoi", "silent", 2)]
