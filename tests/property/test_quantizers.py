"""Every quantizer of the library keeps one interface: codes in range, decode of codes is the quantized vector, gradients pass through."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.nn.factorised import FactorisedQuantizer
from bench.nn.finite_scalar import SHIFTED_TWICE, FiniteScalarQuantizer
from bench.nn.quantize import CHECK_EVERY, Codebook, ResidualQuantizer, SplitQuantizer
from bench.nn.quantizers import BinarySphericalQuantizer, GroupQuantizer, ProductQuantizer
from bench.nn.residual_fsq import ResidualScalarQuantizer

WIDTH, SIZE = 12, 16
KINDS: dict[str, Callable[[], Any]] = {
    "vq": lambda: ResidualQuantizer(1, SIZE, 6, WIDTH),
    "rvq": lambda: ResidualQuantizer(4, SIZE, 6, WIDTH),
    "split": lambda: SplitQuantizer(4, SIZE, 6, WIDTH),
    "factorised": lambda: FactorisedQuantizer(4, SIZE, 4, WIDTH),
    "product": lambda: ProductQuantizer(4, SIZE, 8, WIDTH),
    "group": lambda: GroupQuantizer(2, 2, SIZE, 6, WIDTH),
    "fsq": lambda: FiniteScalarQuantizer((8, 5, 5, 3), WIDTH),
}
CODES = {"vq": 1, "rvq": 4, "split": 4, "factorised": 4, "product": 4, "group": 4, "fsq": 1}  # a frame
SIZES = {kind: SIZE for kind in KINDS} | {"fsq": 8 * 5 * 5 * 3}
RESIDUAL = {"rvq": (1, 2, 3, 4), "split": (1, 2, 3, 4), "factorised": (1, 2, 3, 4), "group": (2, 4)}  # codes per frame that make sense
EVERY = pytest.mark.parametrize("kind", KINDS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def latents(batch: int = 4, frames: int = 40, seed: int = 0) -> Tensor:
    """Latents [B, WIDTH, F] in loose groups, which is what codebooks are good for."""
    centres = 2 * torch.randn(10, WIDTH, generator=generator(99))
    g = generator(seed)
    chosen = centres[torch.randint(10, (batch, frames), generator=g)]
    return (chosen + 0.4 * torch.randn(batch, frames, WIDTH, generator=g)).transpose(1, 2)


@torch.enable_grad()
def train(quantizer: nn.Module, steps: int) -> nn.Module:
    """A few steps towards small error: moving averages, and the parameters by gradient."""
    optimizer, g = torch.optim.Adam(quantizer.parameters(), 0.02), generator()
    quantizer.train()
    for step in range(steps):
        x = latents(seed=step)
        if isinstance(quantizer, FactorisedQuantizer):  # its levels learn their order by being left out
            quantized = quantizer(x, torch.randint(1, CODES["factorised"] + 1, (len(x),), generator=g))
        else:
            quantized = quantizer(x, generator=g)
        optimizer.zero_grad()
        ((quantized.x - x).square().mean() + quantized.loss).backward()
        optimizer.step()
    return quantizer.eval()


TRAINED: dict[str, nn.Module] = {}


def trained(kind: str) -> Any:
    if kind not in TRAINED:
        torch.manual_seed(0)
        TRAINED[kind] = train(KINDS[kind](), 100)
    return TRAINED[kind]


@EVERY
@settings(max_examples=15, deadline=None)
@given(batch=st.integers(1, 3), frames=st.integers(1, 30), scale=st.sampled_from([0.0, 1e-3, 1.0, 1e3]), seed=st.integers(0, 1000))
def test_codes_are_in_range_whatever_comes(kind: str, batch: int, frames: int, scale: float, seed: int) -> None:
    with torch.no_grad():
        codes = trained(kind).encode(scale * latents(batch, frames, seed), CODES[kind])
        assert codes.shape == (batch, CODES[kind], frames) and codes.dtype == torch.int64
        assert 0 <= codes.min() and codes.max() < SIZES[kind]
        assert trained(kind).decode(codes).isfinite().all()


@EVERY
@settings(max_examples=15, deadline=None)
@given(batch=st.integers(1, 3), frames=st.integers(1, 30), seed=st.integers(0, 1000))
def test_decode_of_codes_is_the_quantized_vector(kind: str, batch: int, frames: int, seed: int) -> None:
    quantizer, x = trained(kind), latents(batch, frames, seed)
    with torch.no_grad():
        quantized = quantizer(x)
        codes = quantizer.encode(x, CODES[kind])
        assert torch.equal(codes, quantized.codes)
        torch.testing.assert_close(quantizer.decode(codes), quantized.x, rtol=0, atol=1e-5)


@EVERY
def test_many_different_codes_occur(kind: str) -> None:
    with torch.no_grad():
        codes = trained(kind).encode(latents(8), CODES[kind])
    assert all(len(level.unique()) >= 6 for level in codes.unbind(1))


@pytest.mark.parametrize("kind", RESIDUAL)
def test_the_residual_shrinks_with_each_level(kind: str) -> None:
    quantizer, x = trained(kind), latents(8, seed=7)
    with torch.no_grad():
        codes = quantizer.encode(x, CODES[kind])
        errors = [float((quantizer.decode(codes[:, :k]) - x).square().mean()) for k in RESIDUAL[kind]]
    errors = [float(x.square().mean()), *errors]
    assert all(after < 0.99 * before for before, after in zip(errors, errors[1:], strict=False)), errors


@pytest.mark.parametrize("kind", RESIDUAL)
def test_fewer_codes_are_the_first_of_all(kind: str) -> None:
    quantizer, x = trained(kind), latents(seed=8)
    with torch.no_grad():
        for k in RESIDUAL[kind]:
            assert torch.equal(quantizer.encode(x, k), quantizer.encode(x, CODES[kind])[:, :k])


@EVERY
def test_training_lowers_the_error(kind: str) -> None:
    torch.manual_seed(0)
    x, early = latents(8, seed=9), train(KINDS[kind](), 5)
    with torch.no_grad():
        before, after = ((q(x).x - x).square().mean() for q in (early, trained(kind)))
    assert after < 0.7 * before


@EVERY
def test_gradient_passes_through_the_rounding(kind: str) -> None:
    x = latents().requires_grad_()
    (gradient,) = torch.autograd.grad(trained(kind)(x).x.square().sum(), x)
    assert gradient.isfinite().all()
    assert (gradient.abs().amax(1) > 0).float().mean() > 0.99  # of the frames


@EVERY
def test_evaluation_learns_nothing_and_is_deterministic(kind: str) -> None:
    quantizer = trained(kind)
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    with torch.no_grad():
        one, two = quantizer(latents()), quantizer(latents())
    assert torch.equal(one.x, two.x) and torch.equal(one.codes, two.codes)
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


@pytest.mark.parametrize("kind", ["product", "group"])
def test_a_code_that_nobody_uses_is_restarted(kind: str) -> None:
    torch.manual_seed(0)
    quantizer, g = KINDS[kind]().train(), generator()
    with torch.no_grad():
        for step in range(3):
            quantizer(latents(seed=step), generator=g)
        book = next(module for module in quantizer.modules() if isinstance(module, Codebook))
        book.embedding_sum[0], book.cluster_usage[0] = 1e3, 1e-6
        book.forget()
        for step in range(CHECK_EVERY):
            quantizer(latents(seed=step), generator=g)
    assert book.vectors()[0].abs().max() < 100


def test_codebooks_start_at_the_data() -> None:
    torch.manual_seed(0)
    quantizer = ProductQuantizer(4, SIZE, 8, WIDTH).train()
    with torch.no_grad():
        quantizer(latents(), generator=generator())
        error = (quantizer(latents()).x - quantizer.output_proj(quantizer.input_proj(latents()))).square().mean()
        assert error < 0.1 * quantizer.output_proj(quantizer.input_proj(latents())).square().mean()


def test_product_pieces_are_quantized_independently() -> None:
    quantizer = trained("product")
    x = latents(seed=11)
    with torch.no_grad():
        codes = quantizer.encode(x)
        books, points = quantizer.codebooks(), quantizer.input_proj(x).transpose(1, 2)
        for i, book in enumerate(books):
            distance = (points[..., 2 * i : 2 * i + 2, None] - book.vectors()[0].T).square().sum(2)
            chosen = distance.gather(-1, codes[:, i, :, None])[..., 0]
            torch.testing.assert_close(chosen, distance.amin(-1), rtol=1e-4, atol=1e-5)


def test_group_codes_go_level_by_level() -> None:
    quantizer, x = trained("group"), latents(seed=12)
    with torch.no_grad():
        codes, groups = quantizer.encode(x), [part.encode(half) for part, half in zip(quantizer.parts(), x.chunk(2, 1), strict=True)]
    for k, code in enumerate(codes.unbind(1)):
        assert torch.equal(code, groups[k % 2][:, k // 2])


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.integers(2, 9), min_size=1, max_size=5))
def test_every_finite_scalar_code_names_its_own_point(steps: list[int]) -> None:
    quantizer = FiniteScalarQuantizer(tuple(steps), len(steps))
    with torch.no_grad():  # projections that change nothing
        for layer in (quantizer.input_proj, quantizer.output_proj):
            layer.load_state_dict({"weight": torch.eye(len(steps))[..., None], "bias": torch.zeros(len(steps))})
        codes = torch.arange(min(quantizer.size, 500))[None, None]
        points = quantizer.decode(codes)
        assert points.min() == -1 and points.max() <= 1 and len(points[0].T.unique(dim=0)) == codes.numel()
        half = (quantizer.steps - 1)[:, None] / 2
        wanted = half + half * points  # the step in each dimension; find a latent that rounds to it
        reach, middle = half + 0.5 - 1e-3, quantizer.steps[:, None] // 2 - half
        x = torch.atanh((wanted - half) / reach) - torch.atanh(middle / reach)
        assert torch.equal(quantizer.encode(x), codes)


def test_finite_scalar_zero_is_near_the_middle_and_extremes_are_reached() -> None:
    quantizer = FiniteScalarQuantizer((8, 5), 2)
    with torch.no_grad():
        quantizer.input_proj.load_state_dict({"weight": torch.eye(2)[..., None], "bias": torch.zeros(2)})
        digits = quantizer.bounded(torch.tensor([[[-99.0, 0.0, 99.0], [-99.0, 0.0, 99.0]]])).round()
    assert digits[0, 0].tolist() == [[0, 0], [4, 2], [7, 4]]


def test_numbers_that_are_squashed_twice_reach_every_step_and_zero_is_a_value() -> None:
    quantizer = FiniteScalarQuantizer((4, 5), 2, SHIFTED_TWICE)
    with torch.no_grad():
        for layer in (quantizer.input_proj, quantizer.output_proj):
            layer.load_state_dict({"weight": torch.eye(2)[..., None], "bias": torch.zeros(2)})
        codes = quantizer.encode(torch.tensor([[[-99.0, 0.0, 99.0], [-99.0, 0.0, 99.0]]]))
        values = quantizer.decode(torch.tensor([[[0, 1, 2, 3], [0, 4, 8, 16]]]).transpose(0, 1))
    assert codes[0, 0].tolist() == [0 + 4 * 0, 2 + 4 * 2, 3 + 4 * 4]
    assert values[0, 0].tolist() == [-1, -0.5, 0, 0.5] and values[1, 1].tolist() == [-1, -0.5, 0, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ProductQuantizer(3, SIZE, 8, WIDTH), "pieces of equal size"),
        (lambda: GroupQuantizer(5, 2, SIZE, 8, WIDTH), "groups of equal size"),
        (lambda: FiniteScalarQuantizer((8, 1), WIDTH), "2 steps or more"),
        (lambda: trained("product").encode(latents(), 2), "4 codes per frame"),
        (lambda: trained("fsq").decode(torch.zeros(1, 2, 3, dtype=torch.int64)), "1 codes per frame"),
        (lambda: trained("group").encode(latents(), 3), "cannot have 3 codes"),
        (lambda: trained("group").decode(torch.zeros(1, 6, 3, dtype=torch.int64)), "cannot have 6 codes"),
    ],
)
def test_shapes_that_cannot_be_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_factorised_depth_leaves_levels_out() -> None:
    quantizer, x = trained("factorised"), latents(4, seed=13)
    with torch.no_grad():
        quantized = quantizer(x, torch.tensor([1, 2, 3, 4]))
        for i, one in enumerate(quantized.x):
            torch.testing.assert_close(one, quantizer.decode(quantized.codes[i : i + 1, : i + 1])[0], rtol=0, atol=1e-5)


def test_factorised_lookup_is_the_squared_distance_of_unit_vectors() -> None:
    level, points = trained("factorised").codebooks()[0], torch.randn(2, 4, 50, generator=generator(3))
    with torch.no_grad():
        unit, book = nn.functional.normalize(points).transpose(1, 2), nn.functional.normalize(level.codebook.weight)
        assert torch.equal(level.nearest(points), torch.cdist(unit, book, compute_mode="donot_use_mm_for_euclid_dist").argmin(-1))


@settings(max_examples=30, deadline=None)
@given(bits=st.integers(1, 16), seed=st.integers(0, 1000), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_a_binary_code_is_the_nearest_corner(bits: int, seed: int, scale: float) -> None:
    quantizer = BinarySphericalQuantizer(bits)
    x = scale * torch.randn(2, bits, 9, generator=generator(seed))
    quantized, codes = quantizer(x), quantizer.encode(x)
    assert codes.shape == (2, 1, 9) and 0 <= codes.min() and codes.max() < quantizer.size == 2**bits
    assert torch.equal(quantized.codes, codes)
    corner = quantizer.decode(codes)
    torch.testing.assert_close(quantized.x, corner)
    torch.testing.assert_close(corner.norm(dim=1), torch.ones(2, 9))
    assert torch.equal(corner > 0, x > 0)  # of all corners, the one in the same orthant is nearest
    assert torch.equal(quantizer.encode(corner), codes)


def test_the_first_dimension_is_the_highest_bit_and_gradient_passes() -> None:
    quantizer = BinarySphericalQuantizer(3)
    x = torch.tensor([[[0.1], [-2.0], [3.0]]], requires_grad=True)
    assert quantizer.encode(x).item() == 0b101
    (gradient,) = torch.autograd.grad(quantizer(x).x[0, 1].sum(), x)
    assert gradient.abs().min() > 0
    with pytest.raises(ValueError, match="1 codes per frame"):
        quantizer.encode(x, 2)


@pytest.mark.parametrize(("steps", "scales"), [(5, (1.0, 0.25)), (6, (1.0,)), (3, (1.0, 0.5, 0.25, 0.125))])
@given(seed=st.integers(0, 2**31), scale=st.floats(0.1, 20.0))
@settings(max_examples=20, deadline=None)
def test_each_stage_of_scalars_leaves_at_most_half_a_step(steps: int, scales: tuple[float, ...], seed: int, scale: float) -> None:
    quantizer = ResidualScalarQuantizer(tuple(((steps,) * 6, one) for one in scales))
    x = scale * torch.randn(2, 6, 30, generator=generator(seed))
    codes = quantizer.encode(x)
    assert codes.shape == (2, len(scales), 30) and codes.min() >= 0 and codes.max() < steps**6
    for k, one in enumerate(scales, start=1):
        assert (quantizer.decode(codes[:, :k]) - x.tanh()).abs().max() <= one / (steps - 1) + 1e-6
    trained = quantizer(x.requires_grad_())
    assert torch.allclose(trained.x, quantizer.decode(codes), atol=1e-6) and torch.equal(trained.codes, codes)
    (slope,) = torch.autograd.grad(trained.x.sum(), x)
    assert torch.allclose(slope, 1 - x.tanh().square(), atol=1e-6)
