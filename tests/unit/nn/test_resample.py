"""The resampler inside models."""

import math

import pytest
import torch

from bench.nn.resample import SincResample


@pytest.mark.parametrize(("source", "target"), [(24_000, 16_000), (16_000, 24_000)])
def test_a_tone_keeps_its_pitch_level_and_place(source: int, target: int) -> None:
    tones = [torch.sin(2 * math.pi * 1000 * torch.arange(rate) / rate) for rate in (source, target)]
    found = SincResample(source, target)(tones[0][None, None])
    assert found.shape == (1, 1, target)
    torch.testing.assert_close(found[0, 0, 100:-100], tones[1][100:-100], rtol=0, atol=2e-3)


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    tone = torch.sin(2 * math.pi * 10_000 * torch.arange(24_000) / 24_000)
    assert SincResample(24_000, 16_000)(tone[None, None]).square().mean() < 1e-3


@pytest.mark.parametrize("length", [1, 2, 3, 100])
def test_lengths_are_rounded_up(length: int) -> None:
    assert SincResample(24_000, 16_000)(torch.zeros(2, 1, length)).shape == (2, 1, math.ceil(length * 2 / 3))
