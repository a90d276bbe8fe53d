"""Quantizers whose levels have scales of their own keep what the others keep: codes in range, decode of codes is the quantized vector."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.nn.cross_scale import CrossScaleQuantizer
from bench.nn.multiscale import MultiScaleQuantizer
from bench.nn.swin import SwinStage

WIDTH, SIZE, STRIDES, PARTS = 8, 16, (4, 2, 1), 2
SCALES = ((2, 12), (2, 12), (4, 8))


def smooth(batch: int, frames: int, seed: int, width: int = WIDTH) -> Tensor:
    """[B, width, 4 n]: three numbers that change every fourth frame, seen in all rows, and a little noise."""
    ways = torch.randn(width, 3, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    walk = (ways @ torch.randn(batch, 3, frames, generator=generator)).repeat_interleave(4, dim=-1)
    return walk + 0.2 * torch.randn(walk.shape, generator=generator)


class Maps(nn.Module):
    """A cross-scale quantizer between stages that make its maps, over maps [B, 8, T, 4]."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([SwinStage(4, 8, 2, 1, 2, "down"), SwinStage(8, 12, 2, 2, 2, "down")])
        steps = [SwinStage(12, 8, 2, 2, 2, "up"), SwinStage(8, 4, 2, 1, 2, "up")]
        self.quantizer = CrossScaleQuantizer(SCALES, steps, 2, PARTS, SIZE, 4)

    def maps(self, x: Tensor) -> list[Tensor]:
        x = x.unflatten(1, (8, 4)).transpose(2, 3)
        fine = self.down[0](x)
        return [self.down[1](fine), fine]


@torch.enable_grad()
def train(model: MultiScaleQuantizer | Maps, steps: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    model.train()
    for step in range(steps):
        x = smooth(4, 8, step, 32 if isinstance(model, Maps) else WIDTH)
        depth = (1 + step % 3) * PARTS  # levels learn their order by being left out
        made = model.quantizer(model.maps(x), depth) if isinstance(model, Maps) else model(x)
        loss = (made.x.transpose(2, 3).flatten(1, 2) - x if isinstance(model, Maps) else made.x - x).square().mean() + made.loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


@pytest.fixture(scope="module")
def multi() -> MultiScaleQuantizer:
    torch.manual_seed(0)
    quantizer = MultiScaleQuantizer(STRIDES, SIZE, 4, WIDTH)
    train(quantizer, 80)
    return quantizer


@pytest.fixture(scope="module")
def cross() -> Maps:
    torch.manual_seed(0)
    model = Maps()
    train(model, 150)
    return model


@settings(max_examples=6, deadline=None)
@given(batch=st.integers(1, 3), frames=st.integers(1, 12), scale=st.sampled_from([0.0, 1e-3, 1.0, 1e3]), seed=st.integers(0, 1000))
@torch.no_grad()
def test_codes_of_many_rates_are_in_range_and_decode_to_what_was_quantized(
    multi: MultiScaleQuantizer, batch: int, frames: int, scale: float, seed: int
) -> None:
    x = scale * smooth(batch, frames, seed)
    codes, made = multi.encode(x), multi(x)
    assert codes.shape == (batch, sum(multi.columns), frames) and codes.dtype == torch.int64
    assert 0 <= codes.min() and codes.max() < SIZE and torch.equal(codes, made.codes)
    torch.testing.assert_close(multi.decode(codes), made.x, rtol=0, atol=1e-5 * max(1.0, scale))


@settings(max_examples=6, deadline=None)
@given(batch=st.integers(1, 3), frames=st.integers(1, 12), scale=st.sampled_from([0.0, 1e-3, 1.0, 1e3]), seed=st.integers(0, 1000))
@torch.no_grad()
def test_codes_of_many_scales_are_in_range_and_decode_to_what_was_quantized(
    cross: Maps, batch: int, frames: int, scale: float, seed: int
) -> None:
    maps, quantizer = cross.maps(scale * smooth(batch, frames, seed, 32)), cross.quantizer
    codes, made = quantizer.encode(maps, 3 * PARTS), quantizer(maps)
    assert codes.shape == (batch, 3 * PARTS, 2 * frames) and codes.dtype == torch.int64
    assert 0 <= codes.min() and codes.max() < SIZE and torch.equal(codes, made.codes)
    torch.testing.assert_close(quantizer.decode(codes), made.x, rtol=0, atol=1e-4)


@torch.no_grad()
def test_fewer_codes_are_the_first_of_all_and_each_level_lowers_the_error(cross: Maps) -> None:
    x = smooth(8, 8, 99, 32)
    maps, errors = cross.maps(x), [float(x.square().mean())]
    for depth in (1, 2, 3):
        codes = cross.quantizer.encode(maps, depth * PARTS)
        assert torch.equal(codes, cross.quantizer.encode(maps, 3 * PARTS)[:, : depth * PARTS])
        errors.append(float((cross.quantizer.decode(codes).transpose(2, 3).flatten(1, 2) - x).square().mean()))
    assert all(after < before for before, after in zip(errors, errors[1:], strict=False)), errors


@torch.no_grad()
def test_a_trained_quantizer_of_many_rates_is_nearer_than_an_untrained_one(multi: MultiScaleQuantizer) -> None:
    torch.manual_seed(0)
    x, early = smooth(8, 8, 99), MultiScaleQuantizer(STRIDES, SIZE, 4, WIDTH)
    assert (multi(x).x - x).square().mean() < 0.6 * (early(x).x - x).square().mean()


def test_gradient_passes_through_the_rounding(multi: MultiScaleQuantizer, cross: Maps) -> None:
    for made, width in ((multi, WIDTH), (lambda x: cross.quantizer(cross.maps(x)), 32)):
        x = smooth(2, 6, 3, width).requires_grad_()
        (gradient,) = torch.autograd.grad(made(x).x.square().sum(), x)
        assert gradient.isfinite().all() and (gradient.abs().amax(1) > 0).all()


def test_codes_that_are_no_whole_levels_are_refused(cross: Maps) -> None:
    for codes in (0, 1, 3, 8):
        with pytest.raises(ValueError, match="3 levels of 2 codes cannot have"):
            cross.quantizer.depth(codes)
