"""bench.nn.finite_scalar: every code names its own point, groups do not touch each other, and gradients pass the rounding."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.nn.finite_scalar import GroupedScalarQuantizer


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.integers(2, 9), min_size=1, max_size=4), groups=st.integers(1, 3), seed=st.integers(0, 99))
def test_every_code_names_its_own_point_and_is_found_again(steps: list[int], groups: int, seed: int) -> None:
    quantizer = GroupedScalarQuantizer(groups, tuple(steps))
    codes = torch.randint(quantizer.size, (2, groups, 40), generator=torch.Generator().manual_seed(seed))
    points = quantizer.decode(codes)
    assert points.shape == (2, quantizer.width, 40) and points.min() >= -1 and points.max() <= 1
    every = quantizer.decode(torch.arange(min(quantizer.size, 600)).expand(1, groups, -1))
    assert len(every[0, : len(steps)].T.unique(dim=0)) == every.shape[2]
    digits = points.unflatten(1, (groups, -1)).transpose(2, 3) * (quantizer.steps // 2)
    x = []
    for size, wanted in zip(steps, digits.unbind(-1), strict=True):
        reach, offset = (size - 1) / 2 * (1 - 1e-3), 0.5 * (size % 2 == 0)
        x.append(torch.atanh(((wanted + offset) / reach).clamp(-0.9999, 0.9999)) - math.tan(offset / reach))
    assert torch.equal(quantizer.encode(torch.stack(x, 2).flatten(1, 2)), codes)


def test_known_answers() -> None:
    quantizer = GroupedScalarQuantizer(2, (8, 5))
    x = torch.tensor([[[-99.0, 99.0], [-99.0, 99.0], [0.0, 0.1], [0.0, 0.6]]])
    codes = quantizer.encode(x)
    assert codes[0].tolist() == [[0, 7 + 8 * 4], [4 + 8 * 2, 4 + 8 * 3]]
    assert quantizer.decode(codes)[0, :, 1].tolist() == [0.75, 1.0, 0.0, 0.5]


def test_the_shift_of_an_even_number_of_steps_is_a_tangent() -> None:
    """As NeMo has it; the inverse hyperbolic tangent would put zero onto a step exactly."""
    found = GroupedScalarQuantizer(1, (4, 5)).bounded(torch.zeros(1, 2, 1))[0, 0, 0]
    reach = 1.5 * (1 - 1e-3)
    expected = math.tanh(math.tan(0.5 / reach)) * reach - 0.5 + 2
    assert abs(expected - 2) > 1e-4
    torch.testing.assert_close(found, torch.tensor([expected, 2.0]), rtol=0, atol=1e-6)


def test_gradients_pass_straight_through_the_rounding() -> None:
    quantizer = GroupedScalarQuantizer(2, (8, 5, 3))
    x = torch.randn(2, 6, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with torch.enable_grad():
        quantized = quantizer(x)
        quantized.x.square().sum().backward()
    assert torch.equal(quantized.codes, quantizer.encode(x)) and torch.equal(quantized.x.detach(), quantizer.decode(quantized.codes))
    assert x.grad is not None and (x.grad != 0).float().mean() > 0.5 and quantized.loss == 0


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="2 steps or more"):
        GroupedScalarQuantizer(2, (8, 1))
    quantizer = GroupedScalarQuantizer(2, (8, 5))
    with pytest.raises(ValueError, match="2 codes per frame"):
        quantizer.encode(torch.zeros(1, 4, 3), 1)
    with pytest.raises(ValueError, match="2 codes per frame"):
        quantizer.decode(torch.zeros(1, 3, 3, dtype=torch.int64))
