"""Snake networks: tile by tile or whole, they are the same function."""

import pytest
import torch

from bench.nn import snake
from bench.nn.snake import ResidualUnit, Snake, SnakeNet, Upsample, tiles


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_snake_is_its_formula() -> None:
    layer, x = Snake(3), random(2, 3, 50)
    with torch.no_grad():
        layer.alpha.copy_(torch.tensor([0.3, 1.0, 2.0]))
        a = layer.alpha[None, :, None]
        torch.testing.assert_close(layer(x), x + (a * x).sin() ** 2 / a)


def test_tiles_cover_a_signal_once() -> None:
    bounds = tiles(1000, snake.CACHED // 300)
    assert [start for start, _ in bounds] == [0, *(end for _, end in bounds[:-1])] and bounds[-1][1] == 1000
    assert len(bounds) > 2 and tiles(1000, 1) == [(0, 1000)]


@pytest.mark.parametrize("length", [1, 2, 65, 200, 1025])
@pytest.mark.parametrize(
    "layer",
    [ResidualUnit(4, 1), ResidualUnit(4, 9), *(Upsample(4, 2, stride) for stride in (1, 2, 3, 5, 8)), Snake(4)],
    ids=["unit1", "unit9", "up1", "up2", "up3", "up5", "up8", "snake"],
)
def test_tiled_is_whole(layer: torch.nn.Module, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = random(2, 4, length)
    whole = layer(x).detach()  # with gradients, nothing is tiled
    monkeypatch.setattr(snake, "CACHED", 100)
    with torch.no_grad():
        before = x.clone()
        torch.testing.assert_close(layer(x), whole, rtol=0, atol=2e-6)
    assert torch.equal(x, before)


@pytest.mark.parametrize(("rates", "missing"), [((2, 4, 8), 0), ((2, 4, 5, 8), 8), ((3, 7), 4)])
def test_odd_rates_cost_samples_at_the_end(rates: tuple[int, ...], missing: int) -> None:
    net = SnakeNet(rates, filters=2, dimension=6, decoder_filters=16)
    with torch.no_grad():
        latents = net.encoder()(random(1, 1, 9 * net.hop))
        assert latents.shape == (1, 6, 9)
        assert net.decoder()(latents).shape == (1, 1, 9 * net.hop - missing)


def test_gradients_reach_every_parameter() -> None:
    net = SnakeNet((2, 3), filters=2, dimension=6, decoder_filters=16)
    encoder, decoder = net.encoder(), net.decoder()
    decoder(encoder(random(2, 1, 60))).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for half in (encoder, decoder) for p in half.parameters())
