"""Scores of pairs, and the share of pairs that is won."""

import numpy as np
import pytest

from bench.pairs.quads import Pair
from bench.pairs.scores import SCORES, Side, answers, differing, margins, share, won


def side(codes: list[int], bits: list[float], second: float = 0.0) -> Side:
    return Side(np.array([codes, codes]).T, np.array([bits, [second] * len(bits)]).T)


def test_the_six_scores_of_a_pair_are_what_they_say() -> None:
    right, wrong = side([1, 2, 3], [1.0, 2.0, 3.0], 1.0), side([1, 2, 4, 5], [1.0, 2.0, 4.0, 5.0], 0.5)
    found = dict(zip(SCORES, margins(right, wrong, [0], rate=1.0), strict=True))
    assert found[""] == 14 - 9 and found["_cb1"] == 12 - 6
    assert found["_mean"] == 14 / 4 - 9 / 3 and found["_mean_cb1"] == 12 / 4 - 6 / 3
    assert found["_local"] == 4.5 - 4.0 and found["_local_cb1"] == 4.0 - 3.0  # one second from the third frame


def test_sounds_first_differ_where_any_codebook_does() -> None:
    a = np.array([[0, 0], [0, 1], [2, 2]])
    assert differing(a, np.array([[0, 0], [0, 2], [2, 2]])) == 1
    assert differing(a, a[:2]) == 2 and differing(a, a) == 3


def test_a_sound_that_is_the_beginning_of_the_other_has_a_local_score() -> None:
    right, wrong = side([1, 2], [1.0, 1.0]), side([1, 2, 3], [1.0, 1.0, 4.0])
    assert margins(right, wrong, [0], rate=1.0)[SCORES.index("_local")] == 4.0


def test_equal_sounds_are_neither_won_nor_lost() -> None:
    same = side([1, 2], [0.1, 0.2])
    assert {won(margin) for margin in margins(same, same, [0], 1.0)} == {0.5}
    assert (won(1e-3), won(-1e-3)) == (1.0, 0.0)


def pairs(items: int, voices: int) -> list[Pair]:
    return [Pair("k", str(i), str(v), f"{i}/{v}", "") for i in range(items) for v in range(voices)]


def test_an_item_that_all_voices_say_is_one_and_not_several() -> None:
    few = pairs(20, 4)
    alike = share(few, {pair.id: float(int(pair.item) % 2) for pair in few})
    apart = share(few, {pair.id: float((int(pair.item) + int(pair.voice)) % 2) for pair in few})
    assert alike.value == apart.value == 0.5
    assert alike.high - alike.low > 3 * (apart.high - apart.low)
    assert 0.2 < alike.low < 0.35  # about 0.5 - 2.09 * 0.5 / sqrt(20)


def test_where_there_are_voices_enough_they_vary_too() -> None:
    many = pairs(20, 6)
    by_voice = share(many, {pair.id: float(int(pair.voice) % 2) for pair in many})
    assert by_voice.high - by_voice.low > 0.8  # six voices, of which each is all right or all wrong


def test_what_an_end_costs_by_itself_cancels_in_a_quad() -> None:
    both = [Pair("k", "i", "v", "q/00", "q/01", "q"), Pair("k", "i", "v", "q/11", "q/10", "q")]
    told = {"q/00": [5.0 + 1.0], "q/11": [-5.0 + 1.0]}  # one end is dearer by 5 bits, and right ones are likelier by 1
    assert answers(both, told, 0) == {"q": 1.0} and answers(both, told, 0, each=True) == {"q/00": 1.0, "q/11": 0.0}
    assert answers(both, {"q/00": [5.0], "q/11": [-5.0]}, 0) == {"q": 0.5}
    assert share(both, {"q": 1.0}).value == 1 and share(both, {"q/00": 1.0, "q/11": 0.0}).value == 0.5


def test_pairs_without_answer_are_left_out() -> None:
    assert share(pairs(6, 1), {"0/0": 1.0, "1/0": 0.0}).value == pytest.approx(0.5)
