"""Which clips are heard: ends and middle of an order by a score, not those that come first."""

import math

import pytest

from bench.api import UserError
from bench.listening import picks
from tests.runs import made, speech

SEVEN = speech(
    {"quality": [3.0, 1.0, 4.0, 2.0, 5.0, 3.5, 2.5], "distance": [1.0, 7.0, 2.0, 6.0, 3.0, 4.0, 5.0], "gain_db": [0.0, -9, 3, 1, 2, 5, 6]}
)


def chosen(count: int, wanted: str = "quality", *runs) -> list[tuple[str, str]]:
    found = picks.picks(runs or [made("a@b", SEVEN)], {"speech": count}, wanted)
    return [(pick.clip, pick.place) for pick in found]


def test_worst_median_and_best_of_a_score() -> None:
    assert chosen(3) == [("1", "worst"), ("0", "median"), ("4", "best")]
    assert chosen(2) == [("1", "worst"), ("4", "best")] and chosen(1) == [("0", "median")]
    assert chosen(5) == [("1", "worst"), ("3", "worst but 1"), ("6", "worst but 2"), ("0", "median"), ("4", "best")]
    assert chosen(3, "distance") == [("1", "worst"), ("5", "median"), ("0", "best")], "of a distance the largest is worst"
    assert chosen(1, "gain_db") == [("2", "median")], "by magnitude: 0 1 2 3 5 6 9"


def test_the_mean_over_runs_counts_and_a_clip_without_a_score_is_left_out() -> None:
    other = made("c@d", speech({"quality": [math.nan, 9.0, 4.0, 2.0, 5.0, 3.5, 2.5]}))
    assert chosen(3, "quality", made("a@b", SEVEN), other) == [("3", "worst"), ("2", "median"), ("4", "best")]
    assert "0" not in [clip for clip, _ in chosen(7, "quality", made("a@b", SEVEN), other)]


def test_there_are_no_more_clips_than_there_are_and_no_order_without_a_score() -> None:
    assert chosen(3, "quality", made("a@b", speech({"quality": [1.0, 2.0]}))) == [("0", "worst"), ("1", "median")]
    assert picks.picks([made("a@b", SEVEN)], {"music": 3}) == []
    with pytest.raises(UserError, match="no metric 'loudness'"):
        chosen(1, "loudness")
