"""Augmented crops: filters, mixtures and rooms are what they say, and depend on the seed and the step alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.data.manifests import open_data
from bench.train import augment as steps
from bench.train.augment import Augment, altered, equaliser, fast_length, loudness, mixed, rooms, shelf, squared
from bench.train.data import Corpus, crops, pack

PLAIN = Augment(speeds=(1.0,), image=0.0, gain=(-10.0, -10.0))
RATE = 24_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, length: int, level: float = 0.1) -> torch.Tensor:
    return level * torch.randn(count, length, generator=seeded())


@pytest.fixture
def corpus(make_data: Callable[..., Path]) -> Corpus:
    return pack(open_data(str(make_data(6, seconds=1.0, rate=RATE))).clips, RATE, 9_600, PLAIN, heldout=1, seed=0)


def test_a_section_has_the_response_of_its_coefficients():
    coefficients = torch.randn(3, 4, generator=seeded())
    turn = torch.linspace(0, torch.pi, 9)
    z = torch.polar(torch.ones(9), -turn)
    expected = (coefficients[0, :, None] + coefficients[1, :, None] * z + coefficients[2, :, None] * z**2).abs().square()
    torch.testing.assert_close(squared(coefficients, turn.cos()), expected)


@pytest.mark.parametrize(("side", "low", "high"), [(1.0, 6.0, 0.0), (-1.0, 0.0, 6.0)])
def test_a_shelf_raises_one_side(side: float, low: float, high: float):
    top, bottom = shelf(torch.tensor([0.5]), torch.tensor([6.0]), side)
    ends = torch.tensor([1.0, -1.0])  # the cosines of 0 Hz and of half the rate
    decibels = 10 * (squared(top, ends) / squared(bottom, ends)).log10()[0]
    assert decibels.tolist() == pytest.approx([low, high], abs=1e-3)
    turn = torch.tensor([0.5]).cos()
    assert float(10 * (squared(top, turn) / squared(bottom, turn)).log10()) == pytest.approx(3, abs=1e-3)  # half-way


def test_a_peak_has_its_gain_at_its_middle_and_none_far_away():
    top, bottom = steps.bell(torch.tensor([1.0]), torch.tensor([-7.0]), torch.tensor([1.0]))
    at = torch.tensor([1.0, 0.0, torch.pi]).cos()
    decibels = 10 * (squared(top, at) / squared(bottom, at)).log10()[0]
    assert decibels.tolist() == pytest.approx([-7, 0, 0], abs=1e-3)


def test_an_equaliser_stays_within_what_its_sections_add_up_to():
    response = 20 * equaliser(torch.rand(3, 3, 200, generator=seeded()), 8.0, 4096, RATE).log10()
    assert response.shape == (200, 2049)
    assert float(response.abs().max()) < 24 and float(response.std()) > 2


@pytest.mark.parametrize("snr", [0.0, 12.0])
def test_a_mixture_has_its_ratio_and_its_loudness(snr: float):
    wav, other = noise(2, 50_000), 0.003 * torch.sign(noise(2, 50_000).roll(7, 1))
    both = mixed(wav, other, torch.tensor([snr, snr]))
    torch.testing.assert_close(loudness(both), loudness(wav))
    share = (both * other).mean(1) / other.square().mean(1)  # of `other` in the mixture; the two are as good as uncorrelated
    kept = (both * wav).mean(1) / wav.square().mean(1)
    ratio = 20 * ((kept * loudness(wav)[:, 0]) / (share * loudness(other)[:, 0])).log10()
    assert ratio.tolist() == pytest.approx([snr, snr], abs=0.4)


def test_silence_is_no_background():
    wav = noise(1, 1_000)
    torch.testing.assert_close(mixed(wav, torch.zeros(1, 1_000), torch.zeros(1)), wav)
    torch.testing.assert_close(mixed(wav, 1e-6 * noise(1, 1_000).flip(1), torch.zeros(1)), wav)  # nor what nobody can hear
    assert not mixed(torch.zeros(1, 1_000), wav, torch.zeros(1)).any()


def test_a_room_falls_by_60_db_in_its_time():
    times, ratios = torch.tensor([0.2, 0.5]), torch.tensor([3.0, 9.0])
    response = rooms(times, ratios, RATE, seeded())
    assert bool((response[:, 0] == 1).all())
    tail = response[:, 1:].square()
    assert (-10 * tail.sum(1).log10()).tolist() == pytest.approx(ratios.tolist(), abs=0.05)
    for energy, time in zip(tail, times.tolist(), strict=True):
        ends = [int(part * time * RATE) for part in (0.1, 0.6)]
        early, late = (float(energy[end : end + 1_200].mean().log10()) for end in ends)
        assert 10 * (early - late) == pytest.approx(60 * 0.5, abs=1.5)


def test_the_shares_are_those_asked_for_and_the_loudness_stays():
    wav = noise(400, 2_000)
    for asked in (replace(PLAIN, mix=0.3), replace(PLAIN, eq=0.3), replace(PLAIN, reverb=0.3), replace(PLAIN, eq=0.2, reverb=0.125)):
        out = altered(wav, RATE, asked, seeded(1))
        share = (out != wav).any(1).float().mean()
        assert float(share) == pytest.approx(0.3, abs=0.07)
        torch.testing.assert_close(loudness(out), loudness(wav), rtol=1e-4, atol=0)


def test_no_sample_goes_beyond_full_scale():
    out = altered(noise(20, 2_000, level=0.6), RATE, replace(PLAIN, mix=1, eq=1, reverb=1), seeded())
    assert 0.9 < float(out.abs().max()) <= 0.99 + 1e-6


def test_crops_that_no_chance_falls_to_are_those_of_a_run_without(corpus: Corpus):
    plain = crops(corpus, 40, 9_600, PLAIN, 0, 3)
    some = crops(corpus, 40, 9_600, replace(PLAIN, eq=0.2, reverb=0.2, mix=0.2), 0, 3)
    same = (plain == some).flatten(1).all(1)
    assert 10 < int(same.sum()) < 35
    assert torch.equal(some, crops(corpus, 40, 9_600, replace(PLAIN, eq=0.2, reverb=0.2, mix=0.2), 0, 3))
    assert not torch.equal(some, crops(corpus, 40, 9_600, replace(PLAIN, eq=0.2, reverb=0.2, mix=0.2), 0, 4))


def test_one_crop_alone_mixes_with_nobody(corpus: Corpus):
    assert torch.equal(crops(corpus, 1, 9_600, replace(PLAIN, mix=1.0), 0, 0), crops(corpus, 1, 9_600, PLAIN, 0, 0))


def test_a_fast_length_holds_the_signal():
    for length in (2, 3, 1_000, 38_401, 48_000):
        size = fast_length(length)
        assert length <= size <= 1.34 * length and size % 2 == 0
