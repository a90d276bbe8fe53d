"""Vector quantizers: what a code means, and that training moves the codebooks."""

import pytest
import torch
from torch import Tensor

from bench.nn.quantize import CHECK_EVERY, Codebook, ResidualQuantizer, SplitQuantizer, depths, kmeans, nearest


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def latents(batch: int = 4, width: int = 16, frames: int = 50, seed: int = 0) -> Tensor:
    """Latents [B, D, F] in a few loose groups, which is what codebooks are good for."""
    g = generator(seed)
    centres = 3 * torch.randn(12, width, generator=g)
    chosen = centres[torch.randint(12, (batch, frames), generator=g)]
    return (chosen + 0.3 * torch.randn(batch, frames, width, generator=g)).transpose(1, 2)


def trained(levels: int = 4, steps: int = 12, seed: int = 0) -> SplitQuantizer:
    torch.manual_seed(seed)
    quantizer = SplitQuantizer(levels, size=32, dimension=8, width=16).train()
    g = generator()
    with torch.no_grad():
        for step in range(steps):
            quantizer(latents(seed=0).roll(step, 0), generator=g)
    return quantizer.eval()


def test_nearest_is_the_exhaustive_search() -> None:
    points, book = torch.randn(300, 8, generator=generator(1)), torch.randn(64, 8, generator=generator(2))
    expected = (points[:, None] - book[None]).square().sum(-1).argmin(-1)
    assert torch.equal(nearest(points, book, book.square().sum(-1) / 2), expected)


def test_each_level_leaves_a_smaller_rest() -> None:
    quantizer = trained().rvq_rest
    x = latents()
    with torch.no_grad():
        target = quantizer.input_proj(x).transpose(1, 2)
        total, errors = torch.zeros_like(target), [target.square().mean()]
        for codebook, code in zip(quantizer.codebooks(), quantizer.encode(x).unbind(1), strict=True):
            total += codebook.decode(code)
            errors.append((target - total).square().mean())
    assert all(after < 0.9 * before for before, after in zip(errors, errors[1:], strict=False)), errors


def test_decode_gives_the_quantized_latents() -> None:
    quantizer = trained()
    x = latents(seed=3)
    with torch.no_grad():
        quantized = quantizer(x)
        assert torch.equal(quantizer.encode(x, 4), quantized.codes)
        torch.testing.assert_close(quantizer.decode(quantized.codes), quantized.x, rtol=0, atol=1e-5)


def test_codes_are_in_range_and_more_than_one() -> None:
    codes = trained().encode(latents(seed=4), 4)
    assert codes.shape == (4, 4, 50) and codes.dtype == torch.int64
    assert 0 <= codes.min() and codes.max() < 32
    assert all(len(level.unique()) >= 8 for level in codes.unbind(1))


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_fewer_levels_are_the_first_codes(levels: int) -> None:
    quantizer = trained()
    codes = quantizer.encode(latents(), levels)
    assert torch.equal(codes, quantizer.encode(latents(), 4)[:, :levels])
    assert quantizer.decode(codes).shape == (4, 16, 50)


def test_gradient_passes_straight_through() -> None:
    quantizer = trained()
    x = latents().requires_grad_()
    quantized = quantizer(x)
    upstream = torch.randn(quantized.x.shape, generator=generator(5))
    (gradient,) = torch.autograd.grad(quantized.x, x, upstream)
    parts = (quantizer.rvq_first, quantizer.rvq_rest)
    weights = [dict(part.named_parameters()) for part in parts]
    through = sum(w["input_proj.weight"][..., 0].T @ (w["output_proj.weight"][..., 0].T @ upstream) for w in weights)
    torch.testing.assert_close(gradient, through)


def test_commitment_pulls_latents_towards_their_codes() -> None:
    quantizer = trained().rvq_first
    x = latents().requires_grad_()
    before = quantizer(x).loss
    (gradient,) = torch.autograd.grad(before, x)
    assert quantizer(x.detach() - 50 * gradient).loss < before


def test_kmeans_finds_the_groups() -> None:
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = centres.repeat(40, 1) + 0.1 * torch.randn(120, 2, generator=generator())
    found, members = kmeans(points, 3, 20, generator(1))
    torch.testing.assert_close(found[found.sum(1).argsort()].sum(0), centres.sum(0), rtol=0, atol=0.2)
    assert members.tolist() == [40.0, 40.0, 40.0]


def test_the_first_batches_start_one_level_each() -> None:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(3, size=16, dimension=8, width=16).train()
    for started in (1, 2, 3):
        quantizer(latents(), generator=generator())
        assert [bool(book.initialized) for book in quantizer.codebooks()] == [level < started for level in range(3)]


def test_moving_averages_follow_the_data() -> None:
    book = Codebook(2, 1).train()
    book.start(torch.tensor([[0.0], [1.0]]).repeat(10, 1), generator())
    before = book.vectors()[0].sort(0).values
    torch.testing.assert_close(before, torch.tensor([[0.0], [1.0]]))
    moved = torch.tensor([[0.2], [2.0]]).repeat(10, 1)
    for _ in range(300):
        book.learn(moved, book.encode(moved), generator())
    torch.testing.assert_close(book.vectors()[0].sort(0).values, torch.tensor([[0.2], [2.0]]), rtol=0, atol=0.06)


def test_a_code_nobody_uses_is_restarted_where_the_data_is() -> None:
    book = Codebook(4, 1).train()
    book.initialized.fill_(1)
    book.embedding_sum.copy_(torch.tensor([[0.0], [1.0], [2.0], [1000.0]]))
    book.cluster_usage.copy_(torch.tensor([1.0, 1.0, 1.0, 1e-3]) * 1)
    book.embedding_sum[3] *= 1e-3
    book.forget()
    points = torch.tensor([[0.0], [1.0], [2.0]]).repeat(20, 1)
    for _ in range(CHECK_EVERY):
        assert book.vectors()[0].max() > 500
        book.learn(points, book.encode(points), generator())
    assert book.vectors()[0].max() < 3


def test_evaluation_learns_nothing() -> None:
    quantizer = trained()
    before = {key: value.clone() for key, value in quantizer.state_dict().items()}
    quantizer(latents(seed=9), generator=generator())
    assert all(torch.equal(value, before[key]) for key, value in quantizer.state_dict().items())


def test_loading_weights_replaces_derived_tables() -> None:
    one, other = trained(), trained(seed=1)
    x = latents()
    assert not torch.equal(one.encode(x, 4), other.encode(x, 4))
    one.load_state_dict(other.state_dict())
    assert torch.equal(one.encode(x, 4), other.encode(x, 4))


def test_dropout_rebuilds_from_fewer_levels_and_keeps_the_first() -> None:
    quantizer = trained()
    x = latents(batch=64)
    full = quantizer(x, depths(64, 4, 0.0, generator())).x
    some = quantizer(x, depths(64, 4, 1.0, generator())).x
    wanted = [quantizer.decode(quantizer.encode(x, levels)) for levels in (1, 2, 3, 4)]
    torch.testing.assert_close(full, wanted[3], rtol=0, atol=1e-5)
    closest = torch.stack([(some - x).abs().amax((1, 2)) for x in wanted]).min(0)
    assert closest.values.max() < 1e-5
    assert set(closest.indices.tolist()) == {0, 1, 2, 3}


def test_same_seed_same_codebooks() -> None:
    one, other = trained(), trained()
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


def test_tables_made_in_inference_mode_serve_training_later() -> None:
    quantizer = trained()
    with torch.inference_mode():
        quantizer.encode(latents(), 4)
    book = quantizer.rvq_first.codebooks()[0]
    (torch.randn(3, 8, requires_grad=True) @ book.vectors()[0].T).sum().backward()
