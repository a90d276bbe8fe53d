"""Edits between collapsed units."""

import pytest
import torch

from bench.tokens.units import collapsed, unit_edits


def test_equal_neighbours_are_one_unit_and_edits_are_counted_by_hand() -> None:
    assert collapsed([1, 1, 2, 2, 2, 1]) == [1, 2, 1]
    own = torch.tensor([[1, 1, 2, 3, 3, 4], [5, 5, 5, 5, 5, 5]])
    longer = torch.tensor([[1, 2, 2, 2, 3, 4], [5, 5, 5, 5, 5, 5]])  # as units the same
    other = torch.tensor([[1, 9, 9, 3, 4, 4], [5, 6, 6, 7, 7, 7]])  # one substitution of four; two insertions for one
    assert unit_edits(own, own) == unit_edits(own, longer) == 0
    assert unit_edits(own, other) == pytest.approx((1 / 4 + 2 / 1) / 2)
    assert unit_edits(own[:1], own[:1, :3]) == pytest.approx(2 / 4)
