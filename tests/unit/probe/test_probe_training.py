"""Probes of toy tokens: what is in them is found, what is not stays at chance, and a probe that has not learned says so."""

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.api import UserError
from bench.probe import outcomes
from bench.probe.answers import Squares, mistakes, spell
from bench.probe.inputs import BANDS, Tokens
from bench.probe.network import Codes, Probe
from bench.probe.questions import Question
from bench.probe.training import Outcome, Training, learn, learned

WORDS = ("ab", "ba", "bac", "cab", "dad")
SIZE = 40  # of each of the toy's three codebooks
LEARN, TEST = 100, 60


def question(name: str = "word") -> Question:
    answers = {f"c{i}": WORDS[i % len(WORDS)] for i in range(LEARN + TEST)}
    train, test = ({c: a for c, a in answers.items() if (int(c[1:]) < LEARN) == first} for first in (True, False))
    labels = tuple(sorted(set("".join(WORDS)))) if name == "asr" else tuple(sorted(WORDS))
    return Question(name, labels, train, test, "toy")


def tokens(codebooks: int = 3) -> dict[str, list[Tokens]]:
    """The middle one of three codebooks says which letter is spoken, in one of ten ways; the others say nothing."""
    rng = np.random.default_rng(0)

    def clip(word: str) -> Tokens:
        letters = np.repeat([ord(c) - ord("a") for c in word], 4)
        codes = rng.integers(SIZE, size=(3, len(letters)))
        codes[1] = 10 * letters + rng.integers(10, size=len(letters))
        return Tokens(codes[:codebooks], len(letters) / 50)

    return {c: [clip(word), clip(word)] for c, word in {**question().train, **question().test}.items()}


@cache
def trained(name: str = "word", steps: int = 40, codebooks: int = 3, randomised: bool = False, shuffled: bool = False) -> Outcome:
    (outcome,) = learn(Training(question(name), 0, steps, tokens(codebooks), 50.0, randomised=randomised, shuffled=shuffled), ("probe",))
    return outcome


def at_chance(error: float) -> bool:
    """Within 3.5 deviations of a binomial."""
    chance = 1 / len(WORDS)
    return abs(1 - error - chance) < 3.5 * math.sqrt(chance * (1 - chance) / TEST)


def test_what_the_tokens_say_is_found() -> None:
    outcome = trained()
    assert outcome.converged and outcome.test_error <= 0.05
    assert outcome.constant_error == pytest.approx(0.8)
    assert outcome.answers.keys() == question().test.keys() and set(outcome.answers.values()) <= set(WORDS)


def test_the_codebook_that_says_it_weighs_most() -> None:
    weights = trained().weights
    assert sum(weights) == pytest.approx(1) and weights[1] > 1.5 * max(weights[0], weights[2])


def test_tokens_that_say_nothing_are_at_chance_though_learned_by_heart() -> None:
    outcome = trained(codebooks=1, steps=60)
    assert outcome.train_error < 0.4 and at_chance(outcome.test_error)


def test_random_tokens_are_at_chance() -> None:
    assert at_chance(trained(randomised=True).test_error)


def test_shuffled_answers_are_at_chance() -> None:
    assert at_chance(trained(shuffled=True).test_error)


def test_log_mel_takes_the_place_of_tokens() -> None:
    rng = np.random.default_rng(0)
    loud = {word: rng.normal(size=64) for word in WORDS}
    clips = {**question().train, **question().test}
    mel = {c: [np.asarray(loud[word] + rng.normal(size=(9, 64)), dtype=np.float32)] for c, word in clips.items()}
    (outcome,) = learn(Training(question(), 0, 30, mel=mel), ("probe",))
    assert outcome.converged and outcome.test_error <= 0.05 and outcome.unseen is None and not outcome.weights


def spectra() -> tuple[dict[str, list[Tokens]], dict[str, list[np.ndarray]]]:
    """Two views of clips of 12 frames. The first of two codebooks says which of eight spectra a frame has; a hundredth is chance."""
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(8, BANDS))
    codes = {clip: rng.integers(8, size=(2, 2, 12)) for clip in (*question().train, *question().test)}
    tokens = {clip: [Tokens(view, 12 / 50) for view in views] for clip, views in codes.items()}
    mel = {c: [(5 + shapes[v[0]] + 0.1 * rng.normal(size=(12, BANDS))).astype(np.float32) for v in views] for c, views in codes.items()}
    return tokens, mel


@cache
def explained(steps: int = 60, tokens: bool = True, randomised: bool = False, shuffled: bool = False) -> Outcome:
    codes, mel = spectra()
    train, test = (dict.fromkeys(part, "") for part in (question().train, question().test))
    training = Training(Question("mel", (), train, test, "toy"), 0, steps, rate=50.0, randomised=randomised, shuffled=shuffled, spectra=mel)
    (outcome,) = learn(replace(training, tokens=codes) if tokens else replace(training, mel=mel), ("probe",))
    return outcome


@pytest.mark.parametrize("tokens", [True, False])
def test_the_spectrum_that_the_tokens_say_is_explained_as_one_in_their_place_is(tokens: bool) -> None:
    outcome = explained(tokens=tokens)
    assert outcome.converged and outcome.test_error < 0.06
    assert outcome.constant_error == 1 and outcome.answers.keys() == question().test.keys()
    assert not tokens or outcome.weights[0] > 1.5 * outcome.weights[1]


@pytest.mark.parametrize("control", ["randomised", "shuffled"])
def test_no_spectrum_is_explained_by_codes_that_say_nothing(control: str) -> None:
    outcome = explained(**{control: True})
    assert outcome.converged and outcome.test_error == pytest.approx(1, abs=0.03)


def test_of_spectra_no_error_is_too_large_but_a_loss_that_still_falls_is() -> None:
    assert not explained(steps=24).converged


def test_explained_variance_is_that_of_all_frames_together() -> None:
    found = [mistakes(question(), "", answer) for answer in explained().answers.values()]
    assert sum(error for error, _ in found) / sum(total for _, total in found) == pytest.approx(explained().test_error)
    assert all(isinstance(answer, Squares) and 8 < answer.total < 16 for answer in explained().answers.values())  # of 12 frames


def test_letters_are_spelled() -> None:
    outcome = trained("asr", steps=100)
    assert outcome.converged and outcome.test_error < 0.1 and outcome.constant_error == 1
    assert sum(outcome.answers[c] == question().test[c] for c in outcome.answers) > 0.8 * TEST


def test_the_same_seed_gives_the_same_probe_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, again = trained(steps=12), trained.__wrapped__(steps=12)
    assert first == again
    assert torch.equal(torch.random.get_rng_state(), before) and not torch.are_deterministic_algorithms_enabled()
    (other,) = learn(Training(question(), 1, 12, tokens(), 50.0), ("probe",))
    assert other.curve != first.curve


def test_a_budget_that_is_too_small_is_flagged() -> None:
    assert not trained(steps=4).converged
    assert not trained("asr", steps=20).converged


def test_tokens_that_cannot_be_told_apart_never_converge() -> None:
    same = {clip: [replace(view, codes=view.codes * 0) for view in views] for clip, views in tokens().items()}
    (outcome,) = learn(Training(question(), 0, 40, same, 50.0), ("probe",))
    assert not outcome.converged


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [
        ((2.3, 1, 0.1, 0.05), True),
        ((2.3, 1.4, 0.9, 0.7), True),
        ((2.3, 1.4, 1.1, 0.7), False),  # still falls
        ((2.3, 2.3, 2.2, 2.2), False),  # never began to
        ((2.3, 0.2, 0.3, 0.4), True),
    ],
)
def test_a_loss_that_is_high_or_still_falls_is_no_convergence(losses: tuple[float, ...], verdict: bool) -> None:
    assert learned([loss for loss in losses for _ in range(5)], math.log(10)) == verdict


def test_the_learning_curve_has_ten_points_up_to_the_last_step() -> None:
    curve = trained().curve
    assert [point.step for point in curve] == list(range(4, 41, 4))
    assert curve[0].loss > 1.2 > 0.3 > curve[-1].loss and curve[-1].test_error == trained().test_error


def test_clips_that_were_not_encoded_are_left_out() -> None:
    lost = {clip: views for clip, views in tokens().items() if clip not in ("c0", f"c{LEARN}")}
    (outcome,) = learn(Training(question(), 0, 4, lost, 50.0), ("probe",))
    assert outcome.answers.keys() == question().test.keys() - {f"c{LEARN}"}
    with pytest.raises(ValueError, match="no test clip"):
        list(learn(Training(question(), 0, 4, {c: lost[c] for c in question().train if c in lost}, 50.0), ("probe",)))


def batch(build: Callable[[int], torch.Tensor], *lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = nn.utils.rnn.pad_sequence([build(n) for n in lengths], batch_first=True)
    return x, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("framewise", [False, True])
def test_what_lies_past_a_clips_end_changes_nothing(framewise: bool) -> None:
    torch.manual_seed(0)
    source = Codes(20, 2)
    nn.init.normal_(source.table.weight)
    probe = Probe(source, 5, framewise).eval()
    clip = torch.randint(1, 20, (9, 2, 1))
    alone = probe(*batch(lambda n: clip[:n], 9))[0]
    together = probe(*batch(lambda n: clip[:n] if n == 9 else torch.randint(1, 20, (n, 2, 1)), 9, 31))[0]
    torch.testing.assert_close(together[:9] if framewise else together, alone)


def test_a_code_that_was_never_learned_adds_nothing() -> None:
    source = Codes(4, 1).eval()
    nn.init.normal_(source.table.weight)
    with torch.no_grad():
        source.table.weight[0] = 0
    pair = source(torch.tensor([[[[2, 0]], [[2, 3]], [[0, 0]]]]))[0]
    rows = source.table.weight
    torch.testing.assert_close(pair, torch.stack([rows[2], (rows[2] + rows[3]) / 2, rows[0]]))


@pytest.mark.parametrize(
    ("best", "text"),
    [([], ""), ([0, 0], ""), ([1, 1, 2], "ab"), ([1, 0, 1, 1, 0], "aa"), ([0, 3, 3, 0, 3, 2, 2], "ccb"), ([2, 1, 1, 2], "bab")],
)
def test_repeats_count_once_and_blanks_fall_out(best: list[int], text: str) -> None:
    assert spell(best, "abc") == text


def test_mistakes_are_labels_or_characters() -> None:
    assert mistakes(question(), "ab", "ba") == (1, 1) and mistakes(question(), "ab", "ab") == (0, 1)
    assert mistakes(question("asr"), "three", "tree") == (1, 5)
    assert mistakes(question("asr"), "six", "") == (3, 3)
    assert mistakes(question("asr"), "one", "ones") == (1, 3)


def test_an_outcome_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    outcome = trained(steps=10)
    outcomes.write(tmp_path / "deep" / "word-0.json", question(), outcome)
    assert outcomes.read(tmp_path / "deep" / "word-0.json") == outcome
    held = json.loads((tmp_path / "deep" / "word-0.json").read_text())
    assert sum(map(sum, held["confusion"])) == TEST and sum(row[i] for i, row in enumerate(held["confusion"])) == round(
        TEST * (1 - outcome.test_error)
    )
    assert [sum(row) for row in held["confusion"]] == [12] * 5  # rows are the right labels
    outcomes.write(tmp_path / "mel-0.json", replace(question(), name="mel"), explained())
    assert outcomes.read(tmp_path / "mel-0.json") == explained()
    outcomes.forget(tmp_path / "deep")
    assert outcomes.read(tmp_path / "deep" / "word-0.json") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"outcome": {}}', '{"outcome": {"converged": true}}', "\0"])
def test_a_damaged_file_is_trained_again(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    assert outcomes.read(tmp_path / "x.json") is None


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file.*correct it"):
        outcomes.write(tmp_path / "file" / "x.json", question(), trained(steps=4))


def test_the_order_of_clips_is_no_part_of_the_result() -> None:
    given = list(tokens().items())
    random.Random(0).shuffle(given)
    (outcome,) = learn(Training(question(), 0, 8, dict(given), 50.0), ("probe",))
    assert outcome == trained(steps=8)
