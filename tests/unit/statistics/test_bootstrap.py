"""Means, intervals and p-values: weighted, clustered, honest about what is missing, and right as often as they say."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.api import Metric, Row
from bench.statistics import bootstrap
from bench.statistics.bootstrap import Estimate, difference, holm, mean, reasons, scarce, summarise

STOI = Metric("stoi", "", "higher", {"speech": 16_000}, 0.01, None)


def rows(values: list[float], weights: list[float] | None = None, speakers: list[str] | None = None) -> list[Row]:
    return [
        Row(f"c{i}", "speech", speakers[i] if speakers else "", "stoi", v, weights[i] if weights else 1.0, "" if v == v else "why")
        for i, v in enumerate(values)
    ]


def each(count: int) -> list[str]:
    """Every clip its own cluster."""
    return [str(i) for i in range(count)]


def paired(a: np.ndarray, b: np.ndarray, clusters: list[str] | None = None) -> Estimate:
    ones = np.ones(len(a))
    return difference(a, b, (ones, ones), clusters or each(len(a)))


def test_a_mean_is_weighted_and_missing_scores_are_counted_not_imputed() -> None:
    (s,) = summarise(rows([1.0, 2.0, math.nan, 4.0], [1, 1, 5, 2]), [STOI])
    assert s.mean == pytest.approx(11 / 4) and (s.n, s.n_missing) == (3, 1)


def test_nothing_but_missing_scores_has_no_mean() -> None:
    (s,) = summarise(rows([math.nan, math.nan]), [STOI])
    assert math.isnan(s.mean) and (s.n, s.n_missing) == (0, 2)


def test_scores_without_weight_have_no_mean() -> None:
    (s,) = summarise(rows([1.0, 2.0], [0.0, 0.0]), [STOI])
    assert math.isnan(s.mean)


def test_one_voice_has_no_interval_and_no_test() -> None:
    (s,) = summarise(rows([1.0, 2.0], speakers=["anna", "anna"]), [STOI])
    assert math.isnan(s.low) and math.isnan(s.high) and s.mean == 1.5
    assert not paired(np.array([1.0, 2.0]), np.array([0.0, 0.0]), ["anna", "anna"]).tested


@pytest.mark.parametrize("speakers", [1, 2, 4])
def test_fewer_than_five_voices_have_neither_interval_nor_test_and_it_is_said(speakers: int) -> None:
    voices = [f"s{i % speakers}" for i in range(8)]
    found = summarise(rows([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], speakers=voices), [STOI])
    assert math.isnan(found[0].low) and math.isnan(found[0].high) and (found[0].mean, found[0].speakers) == (4.5, speakers)
    assert scarce(found) == [f"speech: {speakers} speaker{'s' * (speakers > 1)}: too few for an interval or a test, 5 are needed"]
    assert not paired(np.arange(8.0), np.zeros(8), voices).tested


def test_columns_are_named_where_only_some_have_too_few_voices() -> None:
    enough, few = summarise(rows([1.0, 2.0, 3.0, 4.0, 6.0]), [STOI]), summarise(rows([1.0, 2.0, math.nan]), [STOI])
    assert scarce([*enough, replace(few[0], metric="pesq")]) == [
        "speech, pesq: 2 speakers: too few for an interval or a test, 5 are needed"
    ]


def test_five_voices_have_an_interval_and_a_value_of_the_whole_corpus_none_and_no_word() -> None:
    five = summarise(rows([1.0, 2.0, 3.0, 4.0, 6.0]), [STOI])
    assert five[0].low < five[0].mean < five[0].high and not scarce(five)
    pooled = summarise([Row("*", "speech", "", "stoi", 0.5)], [replace(STOI, per="corpus")])
    assert math.isnan(pooled[0].low) and not scarce(pooled)


def test_the_interval_of_a_difference_is_that_of_scipys_symmetric_bootstrap_of_students_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "DRAWS", 20_000)
    x = np.random.default_rng(1).exponential(1, 25)

    def ratio(sample: np.ndarray, axis: int) -> np.ndarray:
        return np.abs(sample.mean(axis) - x.mean()) / (sample.std(axis, ddof=1) / math.sqrt(len(x)))

    drawn = scipy_stats.bootstrap((x,), ratio, method="percentile", n_resamples=20_000, rng=2).bootstrap_distribution
    half = np.percentile(drawn, 95) * x.std(ddof=1) / math.sqrt(len(x))
    found = difference(x, np.zeros(25), (np.ones(25), np.ones(25)), each(25), seed=7)
    assert (found.low, found.high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.04 * half)


def test_no_draw_tears_an_interval_open() -> None:
    """A draw of one speaker and an odd one has a standard error near zero: its ratio is huge, and says nothing."""
    rng = np.random.default_rng(0)
    for count in (6, 8):
        for _ in range(100):
            x = rng.normal(0, 1, count)
            student = scipy_stats.t.ppf(0.975, count - 1) * x.std(ddof=1) / math.sqrt(count)
            found = paired(x, np.zeros(count))
            assert found.high - found.low < 1.6 * 2 * student


def test_p_is_that_of_scipys_paired_permutation_test_and_t_test() -> None:
    rng = np.random.default_rng(3)
    for shift in (0.0, 0.1, 0.2, 0.3):
        a = rng.normal(3, 1, 40)
        b = a - shift + rng.normal(0, 0.5, 40)
        ours = paired(a, b).p
        permuted = scipy_stats.permutation_test(
            (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", n_resamples=5000, rng=4
        ).pvalue
        assert ours == pytest.approx(permuted, abs=0.05)
        assert ours == pytest.approx(scipy_stats.ttest_rel(a, b)[1], abs=0.05)


def test_far_out_p_goes_on_falling_with_students_tail() -> None:
    noise = np.random.default_rng(0).normal(0, 1, 12)
    noise -= noise.mean()
    found = [paired(noise + shift, np.zeros(12)).p for shift in (1.5, 3.0, 6.0, 12.0)]
    exact = [2 * scipy_stats.t.sf(shift * math.sqrt(12) / noise.std(ddof=1), 11) for shift in (1.5, 3.0, 6.0, 12.0)]
    assert all(0.2 < ours / theirs < 5 for ours, theirs in zip(found, exact, strict=True))


@pytest.mark.parametrize("clusters", [6, 12, 400])
def test_p_is_below_5_percent_just_where_the_interval_leaves_zero_out(clusters: int) -> None:
    rng = np.random.default_rng(clusters)
    for _ in range(60):
        x = rng.exponential(1, clusters) - rng.uniform(0.2, 1.8)
        found = paired(x, np.zeros(clusters))
        clear = abs(found.p - 0.05) > 0.002  # a draw is 1/2001
        assert not clear or (found.p < 0.05) == (not found.low <= 0 <= found.high)


def test_a_difference_of_corpus_rates_is_exact_in_its_weights() -> None:
    errors, words = np.array([1.0, 0.0, 3.0, 2.0, 1.0, 4.0]), np.array([10.0, 4.0, 12.0, 20.0, 7.0, 9.0])
    better = np.array([0.0, 0.0, 2.0, 2.0, 1.0, 3.0])
    found = difference(errors / words, better / words, (words, words), each(6))
    assert found.value == pytest.approx(errors.sum() / words.sum() - better.sum() / words.sum())
    other = words + 1.0
    found = difference(errors / words, better / other, (words, other), each(6))
    assert found.value == pytest.approx(errors.sum() / words.sum() - better.sum() / other.sum())


def test_clips_of_one_speaker_do_not_count_as_many_voices() -> None:
    speakers = [str(i % 6) for i in range(60)]
    values = np.array([float(s) for s in speakers])
    alone, clustered = mean(values, np.ones(60), each(60)), mean(values, np.ones(60), speakers)
    assert clustered.high - clustered.low > 2 * (alone.high - alone.low)


def test_pairing_takes_out_how_hard_the_clips_are() -> None:
    rng = np.random.default_rng(2)
    hard = rng.normal(0, 1, 20)
    a, b = hard + 0.1 + rng.normal(0, 0.02, 20), hard
    assert paired(a, b).p < 1e-6
    assert mean(a, np.ones(20), each(20)).low < b.mean()


def test_what_differs_in_the_arithmetic_alone_does_not_differ() -> None:
    a = np.array([0.1, 0.2, 0.3, 0.7, 0.9, 1.1])
    assert paired(a, a).p == 1 and paired(a, a).value == 0
    assert paired(a, a * (1 + 1e-15)).p > 0.05


def test_what_differs_by_the_same_everywhere_differs() -> None:
    a = np.array([0.1, 0.2, 0.3, 0.7, 0.9, 1.1])
    found = paired(a + 0.5, a)
    assert found.p < 1e-12 and (found.low, found.high) == pytest.approx((0.5, 0.5))


def test_zeros_are_zero() -> None:
    found = paired(np.zeros(8), np.zeros(8))
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_one_sided_p_is_small_only_on_its_side() -> None:
    x = np.random.default_rng(0).normal(1, 1, 20)
    up, down = paired(x, np.zeros(20)), paired(-x, np.zeros(20))
    assert up.p_above() == pytest.approx(up.p / 2) and down.p_above() == pytest.approx(1 - down.p / 2)


def test_intervals_of_differences_depend_on_the_seed_alone() -> None:
    values, ones = np.arange(10.0), (np.ones(10), np.ones(10))
    first, again, other = (difference(values, values**2, ones, each(10), seed) for seed in (3, 3, 4))
    assert first == again != other


def test_many_clusters_and_student_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).exponential(1, 250)
    drawn = paired(values, np.zeros(250))
    monkeypatch.setattr(bootstrap, "MOST", 249)
    exact = paired(values, np.zeros(250))
    assert (drawn.low, drawn.high) == pytest.approx((exact.low, exact.high), abs=0.2 * (exact.high - exact.value))


def naive_holm(ps: list[float]) -> list[float]:
    """Holm's rule as it is taught: the k-th smallest times how many are left, never below an earlier one."""
    order = np.argsort(ps)
    scaled = np.array(ps)[order] * np.arange(len(ps), 0, -1)
    out = np.empty(len(ps))
    out[order] = np.minimum(1, np.maximum.accumulate(scaled))
    return out.tolist()


def test_holm_is_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # by hand
    ps = np.random.default_rng(0).uniform(0, 0.2, 30).tolist()
    assert holm(ps) == pytest.approx(naive_holm(ps))


def test_holm_does_not_count_what_was_not_tested() -> None:
    assert holm([0.02, math.nan, 0.04])[::2] == pytest.approx([0.04, 0.04])
    assert math.isnan(holm([0.02, math.nan, 0.04])[1]) and holm([]) == []


def test_reasons_name_metrics_and_count_clips() -> None:
    found = [Row("a", "speech", "", m, math.nan, note="silent") for m in ("stoi", "estoi")]
    found += [Row("b", "speech", "", "stoi", math.nan, note="silent"), Row("b", "speech", "", "estoi", 1.0)]
    assert reasons(found) == [("estoi, stoi", "silent", 2)]
