"""No speaker and no text is in two parts, whatever the manifest is like."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.api import Clip, UserError
from bench.data.manifests import open_data
from bench.lm.splits import Split, split


def clip(speaker: str, text: str, part: str = "") -> Clip:
    return Clip(f"{speaker}-{text}", Path("x"), "", "speech", speaker, text, split=part)


def grid(speakers: int, texts: int) -> list[Clip]:
    """Every speaker says every text."""
    return [clip(f"s{i}", f"text {j}") for i in range(speakers) for j in range(texts)]


def disjoint(parts: Split) -> bool:
    held = [({c.speaker for c in part}, {c.text for c in part}) for part in (parts.train, parts.dev, parts.test)]
    return all(not (a[0] & b[0] or a[1] & b[1]) for i, a in enumerate(held) for b in held[:i])


def test_speakers_that_say_the_same_texts_are_dealt_out_with_their_texts() -> None:
    parts = split(grid(10, 10))
    assert disjoint(parts)
    assert [len(part) for part in (parts.train, parts.dev, parts.test)] == [25, 4, 9]
    assert "62 clips left out" in parts.about and "5 speakers and 5 texts in train" in parts.about


def test_speakers_with_texts_of_their_own_lose_no_clip() -> None:
    parts = split([clip(f"s{i}", f"text {i} {j}") for i in range(10) for j in range(4)])
    assert disjoint(parts) and len(parts.clips) == 40 and "left out" not in parts.about


@pytest.mark.parametrize("name", ["digits", "mini", "grammar"])
def test_the_bundled_sets_can_be_split(name: str) -> None:
    parts = split([c for c in open_data(name).clips if c.domain == "speech"])
    assert disjoint(parts) and parts.train and parts.dev and parts.test


def test_the_split_does_not_depend_on_the_order() -> None:
    backwards = split(grid(6, 6)[::-1])
    assert set(backwards.test) == set(split(grid(6, 6)).test)


def test_the_manifests_split_is_taken_and_dev_comes_out_of_train() -> None:
    told = [
        replace(c, split="train" if c.speaker < "s7" else "test") for c in (clip(f"s{i}", f"{i} {j}") for i in range(10) for j in range(3))
    ]
    parts = split(told)
    assert {c.speaker for c in parts.test} == {"s7", "s8", "s9"} and disjoint(parts) and len(parts.dev) == 3
    named = [replace(c, split="valid") if c.speaker == "s0" else c for c in told]
    assert {c.speaker for c in split(named).dev} == {"s0"} and split(named).about.startswith("split by the manifest: ")


@pytest.mark.parametrize("part", ["dev", "test"])
@pytest.mark.parametrize(("speaker", "text", "what"), [("s0", "new", "speaker 's0'"), ("new", "Text, 1!", "text 'text 1'")])
def test_a_speaker_or_text_of_the_training_in_another_part_is_refused(part: str, speaker: str, text: str, what: str) -> None:
    rest = [clip("d", "in dev", "dev"), clip("t", "in test", "test")]
    told = [*(replace(c, split="train") for c in grid(2, 2)), *rest, clip(speaker, text, part)]
    with pytest.raises(UserError, match=f"{what} is in the splits"):
        split(told)
    assert split(told[:-1]).train


def test_clips_without_speaker_or_text_are_not_taken_for_the_same() -> None:
    parts = split([Clip(f"c{i}", Path("x"), "", "speech") for i in range(10)])
    assert [len(part) for part in (parts.train, parts.dev, parts.test)] == [5, 2, 3]


def test_too_few_speakers_have_a_reason() -> None:
    parts = split(grid(2, 9))
    assert not parts.clips and "three speakers" in parts.about
