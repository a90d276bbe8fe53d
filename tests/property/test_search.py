"""Beam search over residual codebooks: the nearest codes when it follows one sequence, the best of all when it follows every one."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.nn.factorised import FactorisedQuantizer
from bench.nn.quantize import ResidualQuantizer
from bench.nn.search import FRAMES, search


def drawn(seed: int, frames: int = 20, size: int = 6, levels: int = 3) -> tuple[Tensor, list[Tensor]]:
    """Points [frames, 5], and codebooks [size, 5] that get smaller from level to level."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(frames, 5, generator=generator)
    return points, [torch.randn(size, 5, generator=generator) * 0.6**level for level in range(levels)]


def left(points: Tensor, tables: list[Tensor], codes: Tensor) -> Tensor:
    """Squared distance of each point to what its codes add up to."""
    return (points - sum(table[code] for table, code in zip(tables, codes.unbind(1), strict=True))).square().sum(1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_one_sequence_is_the_nearest_code_of_each_level(seed: int) -> None:
    points, tables = drawn(seed)
    codes = search(points, tables, 1)
    rest = points
    for level, table in enumerate(tables):
        nearest = torch.cdist(rest.double(), table.double()).argmin(1)
        assert torch.equal(codes[:, level], nearest)
        rest = rest - table[nearest]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_every_sequence_is_the_best_of_all(seed: int) -> None:
    points, tables = drawn(seed)
    found = left(points, tables, search(points, tables, 6**3))
    every = torch.tensor(list(itertools.product(range(6), repeat=3)))
    best = torch.stack([left(points, tables, codes.expand(len(points), -1)) for codes in every]).amin(0)
    torch.testing.assert_close(found, best, rtol=1e-4, atol=1e-5)


def followed(point: Tensor, tables: list[Tensor], beam: int) -> list[int]:
    """The codes of one point [D] float64, all sequences written out."""
    kept: list[tuple[list[int], Tensor]] = [([], point)]
    for table in tables:
        longer = [([*codes, i], rest - vector) for codes, rest in kept for i, vector in enumerate(table.double())]
        kept = sorted(longer, key=lambda one: float(one[1].square().sum()))[:beam]
    return kept[0][0]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_the_sequences_are_those_that_leave_least_at_each_level(seed: int, beam: int) -> None:
    points, tables = drawn(seed, frames=10, size=16, levels=4)
    assert search(points, tables, beam).tolist() == [followed(point.double(), tables, beam) for point in points]


def test_double_precision_decides() -> None:
    points, (table,) = drawn(2, frames=200, size=30, levels=1)
    points = 10 + points
    further = table.clone()
    further[:, 0] = table[:, 0].nextafter(torch.tensor(torch.inf))  # nearer to every point, by the last bit of one number in five
    assert bool((search(points, [torch.cat([table, further])], 1) >= 30).all())


def test_more_sequences_leave_less() -> None:
    points, tables = drawn(0, frames=400, size=32, levels=5)
    rests = [float(left(points, tables, search(points, tables, beam)).mean()) for beam in (1, 2, 8)]
    assert rests[0] > 1.02 * rests[1] > 1.02**2 * rests[2]


def test_long_input_is_searched_in_parts_and_none_in_no_time() -> None:
    points, tables = drawn(1, frames=FRAMES + 3)
    codes = search(points, tables, 4)
    assert torch.equal(codes[FRAMES:], search(points[FRAMES:], tables, 4))
    assert search(points[:0], tables, 4).shape == (0, 3)


@pytest.mark.parametrize("kind", [ResidualQuantizer, FactorisedQuantizer])
def test_a_quantizer_that_searches_decodes_nearer_to_its_latents(kind: type[ResidualQuantizer] | type[FactorisedQuantizer]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 12, 50, generator=generator)
    torch.manual_seed(0)
    quantizer = kind(4, 16, 6, 12)
    if isinstance(quantizer, ResidualQuantizer):  # projections that turn nothing: what is nearest within is nearest without
        turn = torch.nn.init.orthogonal_(torch.empty(6, 12))[..., None]
        quantizer.load_state_dict({"input_proj.weight": turn, "output_proj.weight": turn.transpose(0, 1)}, strict=False)
    quantizer.scatter(x, generator)
    with torch.inference_mode():
        errors = []
        for quantizer.beam in (1, 8):
            codes = quantizer.encode(x)
            assert codes.shape == (3, 4, 50) and int(codes.min()) >= 0 and int(codes.max()) < 16
            alone = torch.cat([quantizer.encode(item[None]) for item in x])
            assert torch.equal(codes, alone)
            errors.append(float((quantizer.decode(codes) - x).square().mean()))
        assert errors[1] < 0.99 * errors[0]
        assert quantizer.encode(x, 2).shape == (3, 2, 50)
