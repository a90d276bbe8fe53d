"""What probes are asked: no clip is both learned from and tested, and what is held out is new."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.api import Clip, Domain
from bench.data.manifests import open_data
from bench.probe.questions import NAMES, Question, ask

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def clips(speakers: int = 6, takes: int = 2, split: bool = False) -> list[Clip]:
    """Every speaker says every digit; with a split, the last take of each is the test."""
    return [
        Clip(f"{word}{s}{take}", Path("x"), "", "speech", f"s{s}", f" {word.capitalize()}! ", split=("eval" if take else "train") * split)
        for word in WORDS
        for s in range(speakers)
        for take in range(takes)
    ]


def parts(question: Question, given: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    return [c for c in given if c.id in question.train], [c for c in given if c.id in question.test]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", [False, True])
def test_no_clip_is_both_learned_from_and_tested(name: str, split: bool) -> None:
    question = ask(name, clips(split=split))
    assert question.train and question.test
    assert not question.train.keys() & question.test.keys()
    assert question.train.keys() | question.test.keys() == {clip.id for clip in clips()}


@pytest.mark.parametrize("name", ["word", "asr"])
def test_words_and_letters_are_tested_on_voices_that_were_never_heard(name: str) -> None:
    learn, test = parts(ask(name, clips()), clips())
    assert not {c.speaker for c in learn} & {c.speaker for c in test}
    assert len({c.speaker for c in test}) == 2  # 30 % of 6


def test_speakers_are_tested_on_texts_that_were_never_said() -> None:
    learn, test = parts(ask("spk", clips()), clips())
    assert not {c.text for c in learn} & {c.text for c in test}
    assert len({c.text for c in test}) == 3 and {c.speaker for c in test} == {c.speaker for c in learn}


@pytest.mark.parametrize("name", NAMES)
def test_the_manifests_own_split_goes_before_any_other(name: str) -> None:
    learn, test = parts(ask(name, clips(split=True)), clips(split=True))
    assert {c.split for c in learn} == {"train"} and {c.split for c in test} == {"eval"}
    assert (
        "split by the manifest: 60 training clips, 60 to test, 0 of 6 speakers new, 0 of 10 texts new" in ask(name, clips(split=True)).about
    )


def test_a_split_with_one_part_alone_is_none() -> None:
    eval_only = [clip for clip in clips(takes=4, split=True) if clip.split == "eval"]
    assert "split by speaker" in ask("word", eval_only).about


@pytest.mark.parametrize("name", NAMES)
def test_the_split_does_not_depend_on_the_order_of_the_manifest(name: str) -> None:
    shuffled = clips()
    random.Random(0).shuffle(shuffled)
    assert (ask(name, shuffled).train, ask(name, shuffled).test) == (ask(name, clips()).train, ask(name, clips()).test)


def test_answers_are_words_without_capitals_and_marks() -> None:
    assert ask("word", clips()).labels == tuple(sorted(WORDS))
    assert ask("asr", clips()).labels == tuple(sorted(set("".join(WORDS))))
    assert ask("spk", clips()).labels == tuple(f"s{i}" for i in range(6))


def test_of_few_speakers_none_is_held_out() -> None:
    assert "split by clip: " in ask("word", clips(speakers=3)).about
    learn, test = parts(ask("asr", clips(speakers=3)), clips(speakers=3))
    assert not {c.text for c in learn} & {c.text for c in test}


def test_a_label_that_hardly_comes_is_neither_learned_nor_tested() -> None:
    given = [*clips(), Clip("rare", Path("x"), "", "speech", "s0", "eleven"), Clip("stranger", Path("x"), "", "speech", "new", "zero")]
    assert "eleven" not in ask("word", given).labels and "rare" not in ask("word", given).train
    assert "new" not in ask("spk", given).labels


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("word", [Clip(f"c{i}", Path("x"), "", "speech", f"s{i % 5}", f"a sentence of its own, number {i}") for i in range(40)]),
        ("spk", [Clip(f"c{i}", Path("x"), "", "speech", "", WORDS[i % 10]) for i in range(40)]),
        ("spk", [Clip(f"c{i}", Path("x"), "", "speech", "anna", WORDS[i % 10]) for i in range(40)]),
        ("asr", [Clip(f"c{i}", Path("x"), "", "speech", "anna", "?!") for i in range(40)]),
        ("asr", clips()[:1]),
    ],
)
def test_what_the_data_cannot_answer_is_not_asked(name: str, given: list[Clip]) -> None:
    question = ask(name, given)
    assert not question.labels and not question.train and not question.test
    assert "too few clips with" in question.about


def with_labels(speakers: int = 6) -> list[Clip]:
    """Every second clip has a mood; sounds of music have one, too, and a genre."""
    own = [replace(clip, labels=(("mood", "glad" if i % 4 else "sad"),) if i % 2 == 0 else ()) for i, clip in enumerate(clips(speakers, 4))]
    genres = [(("genre", "jazz" if i % 2 else "folk"), ("mood", "glad")) for i in range(40)]
    return own + [Clip(f"m{i}", Path("x"), "", "music", labels=labels) for i, labels in enumerate(genres)]


def test_a_label_is_asked_of_the_clips_that_have_it_on_voices_that_were_never_heard() -> None:
    question = ask("label:mood", with_labels())
    learn, test = parts(question, with_labels())
    assert question.labels == ("glad", "sad") and question.key == question.column == "label_mood"
    assert len(learn) + len(test) == 120 and all(clip.label("mood") and clip.domain == "speech" for clip in learn + test)
    assert not {c.speaker for c in learn} & {c.speaker for c in test} and len({c.speaker for c in test}) == 2
    assert {question.test[c.id] == c.label("mood") for c in test} == {True}


def test_domains_are_asked_by_themselves() -> None:
    question = ask("label:genre", with_labels(), "music")
    assert question.possible and "split by clip: 28 training clips, 12 to test" in question.about and question.key == "label_genre.music"
    mood = ask("label:mood", with_labels(), "music")
    assert not mood.possible and mood.about == "too few clips with the same label:mood (5 to learn one from)"  # all are glad


def test_spectra_are_asked_of_every_clip_of_a_domain() -> None:
    counts: dict[Domain, int] = {"speech": 240, "music": 40}
    for domain, count in counts.items():
        question = ask("mel", with_labels(), domain)
        assert question.possible and len(question.train) + len(question.test) == count and not question.train.keys() & question.test.keys()
    assert not ask("mel", with_labels(), "general").possible and not ask("mel", clips()[:4]).possible


def test_the_embedded_digits_answer_every_question() -> None:
    given = open_data("digits").clips
    for name in NAMES:
        question = ask(name, given)
        assert len(question.train) == 210 and len(question.test) == 90
