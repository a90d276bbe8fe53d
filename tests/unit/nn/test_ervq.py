"""bench.nn.ervq: losses of exact values where they are known, and quantizers that are better used for them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.nn.ervq import balance_loss, similarity_loss
from bench.nn.factorised import FactorisedQuantizer

WIDTH, SIZE = 12, 32


def latents(seed: int) -> Tensor:
    """[B, WIDTH, F]: most of them near one point."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(4, WIDTH, 60, generator=generator)
    return 0.3 * x + 2


@torch.enable_grad()
def trained(**weights: Any) -> FactorisedQuantizer:
    torch.manual_seed(0)
    quantizer = FactorisedQuantizer(3, SIZE, 4, WIDTH, **weights)
    optimizer = torch.optim.Adam(quantizer.parameters(), 0.01)
    for step in range(60):
        x = latents(step)
        made = quantizer(x)
        optimizer.zero_grad()
        ((made.x - x).square().mean() + made.loss).backward()
        optimizer.step()
    return quantizer.eval()


def test_balance_is_zero_for_even_use_and_log_of_the_codes_for_one() -> None:
    each = 100 * torch.eye(SIZE)
    assert balance_loss(each).item() == pytest.approx(0, abs=1e-5)
    assert balance_loss(torch.zeros(7, SIZE)).item() == pytest.approx(0, abs=1e-5)
    assert balance_loss(each[:1].expand(9, -1)).item() == pytest.approx(math.log(SIZE), abs=1e-5)
    assert balance_loss(each[: SIZE // 2]).item() == pytest.approx(math.log(2), abs=1e-5)


def test_similarity_is_one_for_equal_parts_and_minus_one_for_opposite_shapes() -> None:
    x = torch.randn(2, WIDTH, 9)
    x = x - x.mean(1, keepdim=True)
    assert similarity_loss(x, x).item() == pytest.approx(1, abs=1e-6)
    assert similarity_loss(x, -x).item() == pytest.approx(-1, abs=1e-2)
    assert abs(similarity_loss(torch.randn(8, 400, 50), torch.randn(8, 400, 50)).item()) < 0.05


def test_balance_brings_more_codes_into_use() -> None:
    plain, balanced = (trained(balance=weight).encode(latents(99)) for weight in (0.0, 1.0))
    used = [sum(len(level.unique()) for level in codes.unbind(1)) for codes in (plain, balanced)]
    assert used[1] > 1.2 * used[0], used


@torch.no_grad()
def test_the_loss_counts_every_pair_of_neighbouring_levels() -> None:
    torch.manual_seed(0)
    plain, x = FactorisedQuantizer(3, SIZE, 4, WIDTH), latents(1)
    apart = FactorisedQuantizer(3, SIZE, 4, WIDTH, apart=0.3)
    apart.load_state_dict(plain.state_dict())
    codes = plain.encode(x)
    parts = [book.out_proj(book.vectors(code)) for book, code in zip(plain.codebooks(), codes.unbind(1), strict=True)]
    expected = similarity_loss(parts[0], parts[1]) + similarity_loss(parts[1], parts[2])
    assert (apart(x).loss - plain(x).loss).item() == pytest.approx(0.3 * expected.item() / 3, abs=1e-5)


def test_its_gradient_makes_levels_less_alike() -> None:
    torch.manual_seed(0)
    one, two = torch.randn(2, WIDTH, 30), torch.randn(2, WIDTH, 30)
    two = (one + 0.5 * two).requires_grad_()
    before = similarity_loss(one, two)
    (gradient,) = torch.autograd.grad(before, two)
    assert similarity_loss(one, two - 20 * gradient).item() < before.item() - 0.05
