"""Enrolment, trials and the equal error rate: by hand, and against scikit-learn's ROC."""

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from sklearn.metrics import roc_curve
from torch import Tensor
from torch.nn.functional import normalize

from bench.api import Clip
from bench.evaluators.verification import MOST, Enrolment, equal_error_rate, trials, verify


def clips(*speakers: str) -> list[Clip]:
    return [Clip(f"c{i}", Path(), f"{i:064x}", speaker=speaker) for i, speaker in enumerate(speakers)]


def unit(*values: float) -> Tensor:
    return normalize(torch.tensor(values, dtype=torch.float32), dim=0)


@pytest.mark.parametrize(
    ("same", "different", "rate"),
    [
        ([0.9, 0.8], [0.2, 0.1], 0.0),
        ([0.2, 0.1], [0.9, 0.8], 1.0),
        ([0.9, 0.8, 0.3], [0.7, 0.2, 0.1], 1 / 3),
        ([1.0, 0.0], [1.0, 0.0], 0.5),
        ([0.5, 0.5], [0.5, 0.5, 0.5], 0.5),  # equal scores fall together: no threshold tells them apart
        ([3.0, 1.0], [2.0], 0.5),  # from threshold 3 (misses 1/2, alarms 0) to 2 (1/2, 1) they meet half way
        ([4.0, 3.0, 1.0, 1.0], [2.0, 0.0, 0.0], 1 / 3),  # from threshold 2 (1/2, 1/3) to 1 (0, 1/3)
        ([4.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0], 2 / 11),  # from threshold 4 (2/3, 0) to 1 (0, 1/4), which move at once
    ],
)
def test_the_equal_error_rate_by_hand(same: list[float], different: list[float], rate: float) -> None:
    assert equal_error_rate(torch.tensor(same), torch.tensor(different)) == pytest.approx(rate, abs=1e-12)


def crossing(same: Tensor, different: Tensor) -> float:
    """Where straight lines between the points of scikit-learn's ROC meet misses = alarms, by bisection on each line."""
    labels, scores = [1] * len(same) + [0] * len(different), torch.cat([same, different]).double().numpy()
    alarms, hits, _ = roc_curve(labels, scores, drop_intermediate=False)
    for (a0, h0), (a1, h1) in pairwise(zip(alarms, hits, strict=True)):
        if (1 - h1) - a1 <= 0:
            low, high = 0.0, 1.0
            for _ in range(60):
                middle = (low + high) / 2
                above = 1 - (h0 + middle * (h1 - h0)) > a0 + middle * (a1 - a0)
                low, high = (middle, high) if above else (low, middle)
            return float(a0 + low * (a1 - a0))
    raise AssertionError("a ROC ends at (1, 1)")


@pytest.mark.parametrize("seed", range(12))
def test_the_equal_error_rate_is_where_the_roc_of_scikit_learn_crosses(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    same = torch.randn(20 + 7 * seed, generator=generator) + 0.3 * seed
    different = torch.randn(131 - 9 * seed, generator=generator)
    if seed % 2:  # with ties
        same, different = same.round(), different.round()
    found = equal_error_rate(same, different)
    assert found == pytest.approx(crossing(same, different), abs=1e-9)
    assert equal_error_rate(-different, -same) == pytest.approx(found, abs=1e-9)
    assert equal_error_rate(same.double().exp(), different.double().exp()) == pytest.approx(found, abs=1e-9)


def test_trials_are_balanced_for_every_clip_and_follow_from_the_manifest() -> None:
    manifest = clips("a", "b", "a", "", "c", "b", "a", "d", "", "b", "b")
    listed = trials(manifest)
    assert listed == trials(manifest)
    for trial in listed:
        enrolled, tested = manifest[trial.enrolled], manifest[trial.tested]
        assert enrolled.speaker and tested.speaker and trial.enrolled != trial.tested
        assert (enrolled.speaker == tested.speaker) == trial.same
    tested = Counter((trial.tested, trial.same) for trial in listed)
    assert {i for i, _ in tested} == {0, 2, 6, 1, 5, 9, 10}  # speakers with a second clip; the others are strangers to them
    assert all(tested[i, True] == tested[i, False] == (2 if manifest[i].speaker == "a" else 3) for i, _ in tested)
    strangers = Counter(manifest[trial.enrolled].speaker for trial in listed if not trial.same)
    assert set(strangers) == {"a", "b", "c", "d"}


def test_no_trial_compares_a_clip_with_its_own_audio() -> None:
    one, twin, other, stranger = clips("a", "a", "a", "b")
    twin = Clip("twin", Path(), one.sha256, speaker="a")
    pairs = {(trial.enrolled, trial.tested) for trial in trials([one, twin, other, stranger]) if trial.same}
    assert pairs == {(2, 0), (2, 1), (0, 2), (1, 2)}


def test_a_speaker_with_many_clips_does_not_square_the_trials() -> None:
    listed = trials(clips(*["a"] * 50, *["b"] * 50))
    assert Counter(trial.same for trial in listed) == {True: 100 * MOST, False: 100 * MOST}
    for same in (True, False):  # each clip is enrolled as often as any other
        assert set(Counter(trial.enrolled for trial in listed if trial.same == same).values()) == {MOST}


def test_trials_without_a_vector_are_left_out_of_both_kinds_and_counted() -> None:
    manifest = clips("a", "a", "b", "b")
    enrolled = [unit(1, 0), unit(1, 0.1), unit(0, 1), unit(0.1, 1)]
    whole = verify(trials(manifest), enrolled, enrolled)
    assert (whole.value, whole.weight) == (0.0, 8.0)
    part = verify(trials(manifest), enrolled, [enrolled[2], None, enrolled[0], enrolled[1]])
    assert (part.value, part.weight) == (1.0, 6.0)
    none = verify(trials(manifest), enrolled, [None] * 4)
    assert math.isnan(none.value) and none.weight == 0 and none.note == "no trial has both voices"
    alone = verify(trials(manifest[:2]), enrolled[:2], enrolled[:2])
    assert math.isnan(alone.value) and "two named speakers" in alone.note


def test_a_clip_is_identified_by_the_other_clips_of_its_speaker() -> None:
    manifest = clips("a", "a", "b")
    vectors = [unit(1, 0), unit(0, 1), unit(0.6, 0.8)]
    enrolment = Enrolment(manifest, vectors)
    assert enrolment.identify(manifest[0], vectors[0]).value == 0  # its own original would have made it 0.71 against 0.6
    assert enrolment.identify(manifest[1], unit(1, 0)).value == 1
    assert enrolment.identify(manifest[1], unit(0.6, 0.8)).value == 0
    twin = Clip("twin", Path(), manifest[0].sha256, speaker="a")
    assert Enrolment([*manifest, twin], [*vectors, vectors[0]]).identify(manifest[0], vectors[0]).value == 0


def test_a_speaker_is_the_direction_of_its_clips_however_many_they_are() -> None:
    vectors = [unit(1, 0, 0), unit(0, 1, 0), unit(0, 0, 1), *[unit(1, 0.8, 0.6)] * 9]
    enrolment = Enrolment(clips(*"aaa", *["b"] * 9), vectors)
    tested = unit(0.1, 1, 1)
    likeness = float(unit(0, 1, 1) @ tested), float(unit(1, 0.8, 0.6) @ tested)
    assert likeness[0] > likeness[1] and enrolment.identify(clips("a")[0], tested).value == 1
    assert enrolment.identify(clips("a")[0], unit(1, 0.9, 0.7)).value == 0


@pytest.mark.parametrize(
    ("speakers", "note"),
    [
        (("", "b", "b"), "its speaker is not named"),
        (("a", "b", "b"), "the only clip of its speaker: nothing to enrol"),
        (("a", "a", ""), "no other speaker to be taken for"),
    ],
)
def test_what_cannot_be_identified_has_a_reason(speakers: tuple[str, ...], note: str) -> None:
    manifest = clips(*speakers)
    score = Enrolment(manifest, [unit(1, i) for i in range(3)]).identify(manifest[0], unit(1, 0))
    assert math.isnan(score.value) and score.note == note


def test_clips_without_a_vector_are_not_enrolled() -> None:
    manifest = clips("a", "a", "b")
    assert math.isnan(Enrolment(manifest, [unit(1, 0), None, unit(0, 1)]).identify(manifest[0], unit(1, 0)).value)
    assert Enrolment(manifest, [None, unit(1, 0), unit(0, 1)]).identify(manifest[0], unit(1, 0)).value == 1
