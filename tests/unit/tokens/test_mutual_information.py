"""Counting information: known answers, and controls that are what chance gives."""

import itertools
import math

import numpy as np
import pytest

from bench.tokens.mutual_information import entropy, of_label, of_next, zipf_slope

RNG = np.random.default_rng(0)


def test_entropy_of_known_counts() -> None:
    assert entropy(np.array([5, 5, 5, 5, 0, 0])) == pytest.approx(2.0)
    assert entropy(np.array([[1, 1], [2, 4]])) == pytest.approx(1.75)  # 1/8, 1/8, 1/4, 1/2
    assert entropy(np.array([0, 7])) == 0.0
    assert math.isnan(entropy(np.zeros(4, dtype=int)))


def test_a_power_law_has_its_exponent_as_slope() -> None:
    counts = 1e6 / np.arange(1, 501) ** 1.3
    assert zipf_slope(RNG.permutation(counts)) == pytest.approx(-1.3, abs=1e-9)
    assert zipf_slope(np.full(10, 3)) == pytest.approx(0.0)
    assert math.isnan(zipf_slope(np.array([0, 9])))


def test_many_codes_that_came_once_do_not_rule_the_slope() -> None:
    law = np.round(1e5 / np.arange(1, 101))
    assert zipf_slope(np.concatenate([law, np.ones(20_000)])) == pytest.approx(-1, abs=0.2)  # unweighted: -0.2


def test_codes_that_name_the_speaker_share_all_of_it() -> None:
    streams = [np.array([0, 1, 2, 1]), np.array([2, 0, 0, 1]), np.array([5, 6, 5, 5]), np.array([6, 6, 5, 6])]
    assert of_label(streams, ["a", "a", "b", "b"], seed=0).raw == pytest.approx(1.0)


def test_information_is_that_of_the_table() -> None:
    a, b = np.repeat([0, 1], [30, 10]), np.repeat([0, 1], [10, 30])
    noise = entropy(np.array([30, 10]))
    assert of_label([a, b], ["a", "b"], seed=0).raw == pytest.approx(1 - noise)  # a binary symmetric channel


def test_the_control_is_the_mean_over_all_ways_to_deal_the_labels() -> None:
    streams = [RNG.integers(0, 6, 9 + i) for i in range(5)]
    labels = ["a", "a", "b", "b", "c"]
    dealt = [of_label(streams, list(p), seed=0, shuffles=1).raw for p in itertools.permutations(labels)]
    found = of_label(streams, labels, seed=3, shuffles=4000)
    assert found.control == pytest.approx(np.mean(dealt), abs=0.01)
    assert found.raw == pytest.approx(of_label(streams, labels, seed=0).raw)


def test_random_codes_tell_nothing_of_the_speaker_however_few_there_are() -> None:
    excess = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        found = of_label([random.integers(0, 512, 60) for _ in range(24)], [f"s{i % 6}" for i in range(24)], seed)
        assert found.raw > 0.4  # what counting alone would claim
        excess.append(found.raw - found.control)
    assert abs(np.mean(excess)) < 0.003


def test_codes_that_know_the_clip_alone_tell_nothing_of_the_speaker() -> None:
    streams = [np.full(50, i) for i in range(40)]
    found = of_label(streams, [f"s{i % 5}" for i in range(40)], seed=0)
    assert found.raw == pytest.approx(1.0) and found.raw - found.control == pytest.approx(0.0)


def test_one_label_has_nothing_to_tell() -> None:
    assert math.isnan(of_label([np.arange(4), np.arange(4)], ["a", "a"], seed=0).raw)
    assert math.isnan(of_label([np.arange(4), np.arange(0)], ["a", "b"], seed=0).raw)


def test_a_chain_has_the_conditional_entropy_that_it_was_drawn_with() -> None:
    jumps = RNG.random(200_000) < 0.25
    chain = np.cumsum(jumps) % 8  # stays with 3/4, else goes to the next
    found = of_next([chain[:100_000].astype(np.uint8), chain[100_000:].astype(np.uint8)], seed=0)
    assert found.raw == pytest.approx(0.25 * 2 + 0.75 * math.log2(4 / 3), abs=0.005)
    assert found.control == pytest.approx(3.0, abs=0.005)


def test_what_follows_in_another_clip_is_no_successor() -> None:
    assert of_next([np.array([0, 1]), np.array([0, 1]), np.array([1, 0])], seed=0).raw == pytest.approx(0.0)
    assert math.isnan(of_next([np.array([3])], seed=0).raw)


def test_few_draws_make_any_code_seem_to_follow_and_the_control_shows_it() -> None:
    found = of_next([RNG.integers(0, 2048, 1000)], seed=0)
    assert found.raw < 1 and abs(found.raw - found.control) < 0.05  # 11 bits in truth
