"""Published scores: each has a source, is of a tokenizer that exists, and stands beside a run of the same clips alone."""

import dataclasses
import math

import pytest

from bench import registry
from bench.metrics import METRICS
from bench.report import published
from tests.runs import FACTS, made, speech

CLEAN = {"data_name": "librispeech/test-clean", "clips": 2620}
PESQ = [{**FACTS[0], "name": "pesq_wb", "span": [1.0, 4.65]}]


def test_every_line_names_its_source_what_was_measured_and_a_tokenizer_that_exists() -> None:
    found = published.published()
    assert len(found) > 100 and len(set(found)) == len(found)
    assert all(one.source and one.data and one.system and one.measure in published.MEASURES for one in found)
    assert {one.tokenizer for one in found} - {""} <= set(registry.names())
    assert all("arxiv.org/abs/" in one.source or "github.com/" in one.source for one in found)


def test_values_lie_where_the_column_of_that_name_can_lie() -> None:
    spans = {name: METRICS[name].span for name in ("pesq_wb", "pesq_nb", "stoi", "mel_dac")}
    spans |= {"utmos": (1.0, 5.0), "wer_hubert_large": (0.0, 1.0), "spk_sim_wavlm_large": (-1.0, 1.0)}
    assert spans.keys() == published.MEASURES.keys()
    assert not [one for one in published.published() if not spans[one.measure][0] <= one.value <= spans[one.measure][1]]


@pytest.mark.parametrize(
    ("name", "clips", "same"),
    [
        ("librispeech/test-clean", 2620, True),
        ("test-clean", 2620, True),  # a folder
        ("test-clean", 2619, False),  # a part of it
        ("test-other", 2620, False),
    ],
)
def test_a_difference_is_of_the_same_tokenizer_on_the_same_clips(name: str, clips: int, same: bool) -> None:
    scores = speech({"pesq_wb": [2.0, 2.5]})
    run = made("mimi@24khz", scores, record={"metrics": PESQ, "data_name": name, "clips": clips})
    other = made("mimi@24khz-4cb", scores, record={"metrics": PESQ, **CLEAN})
    found = published.beside(published.of("mimi@24khz"), [other, run])
    first = next(one for one in found if one.published.measure == "pesq_wb")
    assert (not math.isnan(first.measured)) is same
    if same:
        assert first.measured == pytest.approx(2.25) and first.difference == pytest.approx(2.25 - first.published.value)
    assert all(math.isnan(one.measured) for one in found if one.published.measure != "pesq_wb")


def test_word_error_rates_are_shown_in_per_cent_and_differences_with_their_sign() -> None:
    one = published.Published("a", "", "d", 1, "wer_hubert_large", 0.0296, "s")
    assert one.shown == "2.96" and published.shown("pesq_wb", -0.03, "+") == "-0.03" and published.shown("stoi", math.nan) == ""


def test_tables_have_a_line_for_each_system_of_a_source() -> None:
    made_up = [
        published.Published(system, "", "d", 1, measure, 1.0, source)
        for system, measure, source in (("a", "stoi", "x"), ("a", "pesq_wb", "x"), ("b", "stoi", "x"), ("a", "stoi", "y"))
    ]
    first, second = published.tables(published.beside(made_up, []))
    assert first.measures == ("pesq_wb", "stoi") and [line[0] for line in first.lines] == ["a", "b"]
    assert first.lines[1][2][0] is None and second.source == "y" and dataclasses.is_dataclass(second)
