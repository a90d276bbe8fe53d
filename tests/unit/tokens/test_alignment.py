"""Parallel texts: who is compared with whom, and a time alignment with known answers."""

from pathlib import Path

import numpy as np
import pytest

from bench.api import Audio, Clip
from bench.tokens.alignment import Trio, aligned, features, times, trios, warp, words
from tests.conftest import speech_like

RNG = np.random.default_rng(0)


def clip(name: str, speaker: str, text: str) -> Clip:
    return Clip(name, Path("x"), "", "speech", speaker, text)


def cheapest(cost: np.ndarray) -> float:
    """The least sum of a path, by trying every one."""
    n, m = cost.shape

    def go(i: int, j: int) -> float:
        if (i, j) == (n - 1, m - 1):
            return cost[i, j]
        ahead = [(i + 1, j), (i, j + 1), (i + 1, j + 1)]
        return cost[i, j] + min(go(a, b) for a, b in ahead if a < n and b < m)

    return go(0, 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (4, 6), (6, 5)])
def test_the_path_is_the_cheapest_of_all(shape: tuple[int, int]) -> None:
    for _ in range(5):
        cost = RNG.random(shape)
        path = warp(cost)
        assert tuple(path[0]) == (0, 0) and tuple(path[-1]) == (shape[0] - 1, shape[1] - 1)
        steps = np.diff(path, axis=0)
        assert ((steps >= 0) & (steps <= 1)).all() and (steps.sum(1) > 0).all()
        assert cost[path[:, 0], path[:, 1]].sum() == pytest.approx(cheapest(cost))


def test_a_stretched_copy_is_undone() -> None:
    a = RNG.standard_normal((40, 26))
    source = np.repeat(np.arange(40), RNG.integers(1, 4, 40))
    path = aligned(a, a[source])
    assert (source[path[:, 1]] == path[:, 0]).all()


def test_features_are_50_a_second_and_know_no_level() -> None:
    wav = speech_like(2.0, 16_000)
    loud, soft = features(Audio(wav[None], 16_000)), features(Audio(wav[None] / 8, 16_000))
    assert loud.shape == (99, 26)
    assert np.abs(loud - soft).max() < 1e-3
    assert times(np.array([0, 98])) == pytest.approx([0.0125, 1.9725])


def test_silence_has_features_too() -> None:
    assert np.isfinite(features(Audio(speech_like(1.0, 16_000)[None] * 0, 16_000))).all()


def test_a_pair_says_the_same_in_two_voices_and_its_control_is_the_second_voice_with_other_words() -> None:
    clips = [clip("1", "anna", "Yes."), clip("2", "ben", "yes"), clip("3", "ben", "No!"), clip("4", "anna", "no"), clip("5", "cora", "yes")]
    assert trios(clips) == [Trio("1", "2", "3"), Trio("3", "4", "1")]  # cora says nothing else: she has no control


def test_clips_without_text_or_speaker_take_no_part() -> None:
    assert not trios([clip("1", "", "yes"), clip("2", "ben", "yes"), clip("3", "ben", ""), clip("4", "anna", "")])


def test_one_voice_is_no_pair() -> None:
    assert not trios([clip("1", "anna", "yes"), clip("2", "anna", "yes"), clip("3", "anna", "no")])


def test_every_pair_comes_once_and_a_limit_takes_of_every_text() -> None:
    clips = [clip(f"{text}{i}", f"s{i}", text) for text in ("one", "two", "three") for i in range(4)]
    found = trios(clips)
    assert len({frozenset((trio.a, trio.b)) for trio in found}) == len(found) == 3 * 6
    assert {trio.a.rstrip("0123") for trio in trios(clips, most=3)} == {"one", "two", "three"}


def test_words_have_no_capitals_and_no_punctuation() -> None:
    assert words(" It's  Easy, to\ttell. ") == "its easy to tell"


def test_the_same_words_again_are_no_control() -> None:
    clips = [clip("1", "anna", "yes"), clip("2", "ben", "yes"), clip("3", "ben", "Yes!"), clip("4", "ben", "no")]
    assert trios(clips) == [Trio("1", "2", "4"), Trio("1", "3", "4")]
