"""Codes and log-mel at the one rate that probes see: known answers."""

import math

import numpy as np
import pytest
import torch

from bench import registry
from bench.api import Audio, Codebook, Spec
from bench.probe.inputs import (
    MEL_RATE,
    RATE,
    VIEWS,
    Tokens,
    Vocabulary,
    frames,
    heard_as_mel,
    log_mel,
    random_tokens,
    standardised,
    unprobed,
    views,
)


def line(*codes: int, seconds: float) -> Tokens:
    """One codebook."""
    return Tokens(np.array([codes], dtype=np.uint8), seconds)


def test_a_slow_code_is_held() -> None:
    assert frames(line(7, 9, seconds=0.16), 12.5)[:, 0, 0].tolist() == [7] * 4 + [9] * 4


def test_codes_of_the_rate_are_as_they_are() -> None:
    assert frames(line(1, 2, 3, seconds=0.06), 50).ravel().tolist() == [1, 2, 3]


def test_fast_codes_share_the_frame_that_holds_their_middle() -> None:
    # middles at 6.7, 20, 33.3, 46.7, 60, 73.3 ms; frames of 20 ms
    assert frames(line(1, 2, 3, 4, 5, 6, seconds=0.08), 75)[:, 0].tolist() == [[1, -1], [2, 3], [4, -1], [5, 6]]
    assert frames(line(*range(8), seconds=0.08), 100)[:, 0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_every_code_has_its_place_once() -> None:
    for rate in (50.0, 62.5, 75.0, 86.1328125, 100.0, 150.0):
        count = math.floor(1.7 * rate)
        codes = frames(Tokens(np.arange(count)[None], 1.7), rate)
        assert codes.shape == (85, 1, math.ceil(rate / RATE))
        assert sorted(codes[codes >= 0].tolist()) == list(range(count))


def test_where_a_tokenizer_ends_early_its_last_code_goes_on() -> None:
    assert frames(line(4, 5, seconds=0.1), 50).ravel().tolist() == [4, 5, 5, 5, 5]
    assert frames(line(4, 5, seconds=0.06), 100)[:, 0].tolist() == [[4, 5], [5, -1], [5, -1]]


def test_a_clip_without_codes_has_empty_frames() -> None:
    assert frames(Tokens(np.zeros((3, 0), dtype=np.int64), 0.03), 50).tolist() == [[[-1]] * 3] * 2


def test_a_code_of_one_clip_is_not_learned_however_often_it_came() -> None:
    once, both, far = 60_000, 3, 65_535
    a, b = np.array([[[both]], [[once]], [[once]]]), np.array([[[both]], [[far]], [[-1]]])
    vocabulary = Vocabulary([[a, a], [b]])
    assert vocabulary.size == 2  # and the number of all others
    assert vocabulary(a).ravel().tolist() == [1, 0, 0]
    assert vocabulary.unseen([a]) == pytest.approx(2 / 3)
    assert vocabulary.unseen([b]) == pytest.approx(1 / 2)  # -1 is no code


def test_codebooks_share_no_number() -> None:
    clip = np.array([[[5], [5]], [[6], [5]]])  # [T, K, S]
    assert Vocabulary([[clip], [clip]])(clip).tolist() == [[[1], [3]], [[2], [3]]]


def test_random_tokens_keep_shapes_and_how_often_codes_come() -> None:
    rng = np.random.default_rng(0)
    uneven = np.stack([rng.choice([1, 2], 4000, p=[0.9, 0.1]), rng.choice([7, 8, 9], 4000)])
    clips = {"a": [Tokens(uneven, 80.0)], "b": [Tokens(uneven[:, :30] * 0 + 5, 0.6)]}
    drawn = random_tokens(clips, ["a"], np.random.default_rng(1))
    assert drawn["b"][0].codes.shape == (2, 30) and drawn["b"][0].seconds == 0.6
    assert set(drawn["b"][0].codes[1].tolist()) == {7, 8, 9}  # of what there is to learn from
    assert (drawn["a"][0].codes[0] == 1).mean() == pytest.approx(0.9, abs=0.02)
    assert (drawn["a"][0].codes == uneven).mean() < 0.7  # and tell nothing of the clip


def test_views_are_the_clip_then_later_and_softer_ones() -> None:
    wav = torch.ones(1, 1000)
    first, *others = views(wav, 16_000, VIEWS)
    assert torch.equal(first, wav)
    assert len({view.shape[-1] for view in others}) == VIEWS - 1
    for view in others:
        assert 1000 < view.shape[-1] <= 1000 + 0.08 * 16_000
        assert 0.5 < float(view.max()) < 1 and float(view[0, 0]) == 0


def test_log_mel_hears_a_tone_where_and_when_it_is() -> None:
    wav = torch.zeros(MEL_RATE)
    late = slice(MEL_RATE // 2, None)
    wav[late] = torch.sin(2 * torch.pi * 3000 * torch.arange(MEL_RATE) / MEL_RATE)[late]
    mel = log_mel(wav)
    assert mel.shape == (50, 64)
    assert mel[:24].max() == mel.min() and mel[26:].max(1).min() > mel.min() + 10
    loudest = mel[40].argmax()
    assert [
        abs(int(log_mel(torch.sin(2 * torch.pi * f * torch.arange(MEL_RATE) / MEL_RATE))[25].argmax()) - loudest) > 2 for f in (2000, 4200)
    ]


@pytest.mark.parametrize("seconds", [0.0001, 0.02, 0.0201, 0.5, 1.2345])
def test_log_mel_and_tokens_have_as_many_frames(seconds: float) -> None:
    wav = torch.zeros(1, round(seconds * 44_100))
    (mel,) = heard_as_mel(Audio(wav, 44_100), 1)
    assert len(mel) == len(frames(line(1, seconds=wav.shape[-1] / 44_100), 50))


def test_bands_are_standardised_by_what_there_is_to_learn_from() -> None:
    rng = np.random.default_rng(0)
    mel = {clip: [rng.normal(3, 2, (500, 64)).astype(np.float32)] for clip in "ab"} | {"test": [np.full((3, 64), 103, np.float32)]}
    found = standardised(mel, "ab")
    assert np.concatenate([*found["a"], *found["b"]]).mean(0) == pytest.approx(0, abs=1e-5)
    assert found["test"][0].min() > 40


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mimi@mini", ""),
        ("mfcc_kmeans@tiny", ""),
        ("dac@44khz", ""),
        ("encodec@48khz-24kbps", ""),
        ("codec2@1200bps", ""),
        ("mulaw@8bit", "16,000 codes per second are samples"),
        ("identity", "raw samples or variable-rate bytes"),
        ("opus@6kbps", "raw samples or variable-rate bytes"),
    ],
)
def test_samples_and_bytes_of_varying_rate_are_no_tokens(name: str, why: str) -> None:
    found = unprobed(registry.variant(name).spec)
    assert why in found and bool(found) == bool(why)


def test_a_codebook_of_65536_codes_is_probed() -> None:
    assert not unprobed(Spec("x", "v", 16_000, (Codebook(2**16, 25.0),)))
