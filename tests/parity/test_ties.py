"""The proof of a tie accepts ties and nothing else: two levels of two vectors each, and points on a line between them."""

import pytest
import torch
from torch import Tensor

from tests.parity.ties import residual_levels, ties

BOOKS = [torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 3.0]])]


def count(codes: list[list[int]], expected: list[list[int]], first: float = 1.1, second: float = 1.1, frames: int = 1) -> int:
    """Ties of codes [K, F] for frames at these coordinates."""
    latents = torch.tensor([[first], [second]])[None].expand(1, 2, frames)
    want = torch.tensor(expected)[None]
    return ties(torch.tensor(codes)[None], want, residual_levels(latents, BOOKS, want))


def test_equal_codes_are_no_ties() -> None:
    assert count([[0], [0]], [[0], [0]]) == 0


@pytest.mark.parametrize("off", [0, 1e-6, -1e-6])
def test_a_point_halfway_is_a_tie(off: float) -> None:
    assert count([[1], [0]], [[0], [0]], first=2 + off) == 1
    assert count([[0], [1]], [[0], [0]], second=2 + off) == 1


@pytest.mark.parametrize("off", [1e-4, -1e-4, 0.5])
def test_a_point_nearer_to_one_is_not(off: float) -> None:
    with pytest.raises(AssertionError, match="level 0 differ, no tie"):
        count([[1], [0]], [[0], [0]], first=2 + off)
    with pytest.raises(AssertionError, match="level 1 differ, no tie"):
        count([[0], [1]], [[0], [0]], second=2 + off)


def test_a_tie_excuses_the_levels_below_it_in_its_frame_alone() -> None:
    assert count([[1], [1]], [[0], [0]], first=2) == 1
    with pytest.raises(AssertionError, match="level 1 differ, no tie"):
        count([[1, 0], [1, 1]], [[0, 0], [0, 0]], first=2, frames=2)


def test_ties_are_rare() -> None:
    def tied(wrong: int) -> tuple[Tensor, Tensor]:
        codes = torch.zeros(1, 1, 1500, dtype=torch.int64)
        codes[..., :wrong] = 1
        return codes, torch.zeros_like(codes)

    latents = torch.tensor([[2.0], [0.0]])[None].expand(1, 2, 1500)
    assert ties(*tied(2), residual_levels(latents, BOOKS[:1], tied(0)[1])) == 2
    with pytest.raises(AssertionError, match="3 ties among 1500"):
        ties(*tied(3), residual_levels(latents, BOOKS[:1], tied(0)[1]))
    with pytest.raises(AssertionError, match="codes"):
        ties(tied(0)[0], tied(0)[0][..., :3], [])
