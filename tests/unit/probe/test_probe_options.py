"""What the suite probe can be asked for."""

import pytest

from bench.api import UserError
from bench.probe import columns
from bench.probe.options import parse
from bench.tasks.probe import SUITE, suite


def test_questions_are_told_in_one_order() -> None:
    assert str(parse(" label:genre,mel,label:Emotion_2, mel")) == "mel,label:Emotion_2,label:genre"
    assert str(parse("")) == ""


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("mell", "did you mean 'mel'?"),
        ("emotion", "label:NAME"),
        ("label:", "label:NAME"),
        ("label:a b", "label:NAME"),
        ("asr", "label:NAME"),
    ],
)
def test_a_word_that_is_no_question_is_refused_with_the_cure(text: str, cure: str) -> None:
    with pytest.raises(UserError, match="--probe-options: .* is no question: ") as error:
        parse(f"mel,{text}")
    assert cure in str(error.value)


def test_the_suite_has_the_columns_that_it_is_asked_for_behind_its_own() -> None:
    asked = suite(parse("mel,label:mood"))
    names = [metric.name for metric in asked.metrics]
    assert names[: len(SUITE.metrics)] == [metric.name for metric in SUITE.metrics] and asked.asked == "mel,label:mood"
    assert {"probe_mel_ev", "probe_mel_ev_random", "probe_label_mood_acc", "probe_label_mood_chance"} < set(names)
    assert "probe_mel_chance" not in names and "probe_label_mood_chance" in asked.headline and set(asked.headline) <= set(names)
    assert len(set(names)) == len(names) and not SUITE.asked


def test_what_is_said_is_asked_of_speech_and_the_rest_of_every_domain() -> None:
    rates = {metric.name: tuple(metric.rates) for metric in suite(parse("mel,label:mood")).metrics}
    assert rates["probe_word_acc"] == ("speech",)
    assert rates["probe_mel_ev"] == rates["probe_label_mood_weight"] == columns.domains("mel") == ("speech", "music", "general")
