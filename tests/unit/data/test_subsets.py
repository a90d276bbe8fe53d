"""What --limit takes: clips that stand for the whole, the same ones every time; and partners for the shuffled floor, soon found."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.api import Clip, Domain, scored_domains
from bench.data.manifests import data_of, open_data, partners
from bench.data.subsets import limit_of, subset
from bench.registry import load_suite


def corpus(speakers: int, texts: Sequence[str], domain: Domain = "speech") -> list[Clip]:
    """Every speaker says every text, in the order of the speakers."""
    names = [(f"s{i}", text) for i in range(speakers) for text in texts]
    return [Clip(f"{domain}/{who}/{text}", Path("x"), "0", domain, who, text) for who, text in names]


def test_a_limit_spreads_over_speakers_and_texts_and_not_over_the_first_lines() -> None:
    chosen = subset(corpus(12, "abcdefghij"), 20)
    assert len({clip.text for clip in chosen}) == 10 and Counter(clip.speaker for clip in chosen).most_common(1)[0][1] <= 2
    assert len({clip.speaker for clip in chosen}) >= 10
    few = Counter(clip.speaker for clip in subset(corpus(12, "abcdefghij"), 6))
    assert sorted(few.values()) == [1, 1, 1, 1, 2], "five speakers make an interval, two clips of one a trial"


def test_a_limit_takes_only_domains_that_are_scored_in_turn() -> None:
    clips = corpus(5, "abc") + corpus(5, "abc", "music")
    assert Counter(clip.domain for clip in subset(clips, 4)) == {"speech": 2, "music": 2}
    assert {clip.domain for clip in subset(clips, 4, ["speech"])} == {"speech"}


def test_a_share_is_of_the_clips_that_could_be_taken_and_the_seed_decides_which() -> None:
    clips = corpus(10, "abcdefghij") + corpus(10, "ab", "music")
    assert len(subset(clips, 0.1, ["speech"])) == 10 and len(subset(clips, 1.0)) == 120
    assert subset(clips, 0.1) == subset(clips, 0.1) != subset(clips, 0.1, seed=1)
    shuffled = [clip.id for clip in subset(clips[::-1], 0.1)]
    assert shuffled == [clip.id for clip in subset(clips, 0.1)][::-1], "the order of the lines does not matter"


def test_a_limit_of_many_clips_of_one_speaker_is_soon_found() -> None:
    clips = corpus(1, [f"t{i % 50}-{i}" for i in range(20_000)])
    start = time.perf_counter()
    assert len(subset(clips, 5000)) == 5000 and time.perf_counter() - start < 5


@pytest.mark.parametrize(("text", "limit"), [("20", 20), ("10%", 0.1), ("0.5%", 0.005), ("100%", 1.0)])
def test_a_limit_is_a_number_or_a_share(text: str, limit: float) -> None:
    assert limit_of(text) == pytest.approx(limit) and isinstance(limit_of(text), type(limit))


@pytest.mark.parametrize("text", ["0", "-1", "0%", "101%", "ten", "1.5", ""])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="positive integer or a share as 10%"):
        limit_of(text)


def test_a_limit_of_the_bundled_sets_has_what_the_suites_ask_for() -> None:
    digits = open_data("digits", 20).clips
    assert len({clip.text for clip in digits}) >= 8 and len({clip.speaker for clip in digits}) >= 6
    assert [clip.domain for clip in open_data("mini", 3, scored_domains(load_suite("asr").metrics)).clips] == ["speech"] * 3


def test_the_data_of_a_run_are_found_again_by_the_number_of_its_clips() -> None:
    assert data_of("mini", 40, ["speech"], 0) == open_data("mini")
    assert data_of("mini", 4, ["speech"], 3) == open_data("mini", 4, ["speech"], 3)


def test_partners_of_many_clips_of_one_speaker_are_found_in_linear_time() -> None:
    few, many = (corpus(1, [str(i) for i in range(size)]) for size in (2_000, 40_000))
    took = []
    for clips in (few, many):
        start = time.perf_counter()
        assert len(partners(tuple(clips))) == len(clips)
        took.append(time.perf_counter() - start)
    assert took[1] < 100 * max(took[0], 0.001), "quadratic: 400 times"


def test_a_partner_is_the_next_clip_of_another_speaker_round_the_end() -> None:
    clips = corpus(2, "ab")
    assert {clip.id: other.id for clip, other in ((c, partners(tuple(clips))[c.id]) for c in clips)} == {
        **{"speech/s0/a": "speech/s1/a", "speech/s0/b": "speech/s1/a", "speech/s1/a": "speech/s0/a", "speech/s1/b": "speech/s0/a"}
    }
