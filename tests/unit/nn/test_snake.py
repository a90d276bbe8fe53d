"""Snake networks: piece by piece, as a CPU infers, or whole, as elsewhere, they are the same function."""

import pytest
import torch

from bench.nn import flow
from bench.nn.flow import Flow, Layers, flowing
from bench.nn.snake import ResidualUnit, Snake, SnakeNet, Upsample


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def in_pieces(layer: torch.nn.Module, x: torch.Tensor, size: int) -> torch.Tensor:
    """What a layer makes of x that comes in pieces."""
    return torch.cat(list(flowing(layer, iter(x.split(7, -1)), size, {})), -1)


def test_snake_is_its_formula() -> None:
    layer, x = Snake(3), random(2, 3, 50)
    with torch.no_grad():
        layer.alpha.copy_(torch.tensor([0.3, 1.0, 2.0]))
        a = layer.alpha[None, :, None]
        torch.testing.assert_close(layer(x), x + (a * x).sin() ** 2 / a)
        before = x.clone()
        Snake(3)(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("length", [1, 2, 65, 200, 1025])
@pytest.mark.parametrize(
    "layer",
    [ResidualUnit(4, 1), ResidualUnit(4, 9), *(Upsample(4, 2, stride) for stride in (1, 2, 3, 5, 8)), Snake(4)],
    ids=["unit1", "unit9", "up1", "up2", "up3", "up5", "up8", "snake"],
)
def test_pieces_make_the_whole(layer: torch.nn.Module, length: int) -> None:
    x = random(2, 4, length)
    whole = layer(x).detach()  # with gradients, nothing comes in pieces
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(layer(x), whole, rtol=0, atol=2e-6)
        for size in (64, 100):
            torch.testing.assert_close(in_pieces(layer, x, size), whole, rtol=0, atol=2e-6)
    assert torch.equal(x, before)


@pytest.mark.parametrize("frames", [1, 9, 40, 133])
@pytest.mark.parametrize("rates", [(2, 4, 8), (3, 5), (2, 4, 5, 8)])
def test_networks_in_pieces_are_the_same_function(rates: tuple[int, ...], frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "CACHED", 0)  # the shortest pieces that there are
    net = SnakeNet(rates, filters=2, dimension=6, decoder_filters=32)
    encoder, decoder, wav = net.encoder(), net.decoder(), random(2, 1, frames * net.hop)
    latents = encoder(wav).detach()
    audio = decoder(latents).detach()
    with torch.no_grad():
        torch.testing.assert_close(encoder(wav), latents, rtol=0, atol=2e-6)
        torch.testing.assert_close(decoder(latents), audio, rtol=0, atol=2e-6)


def test_a_long_signal_does_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[tuple[int, bool]] = []

    def forward(self: Layers, x: torch.Tensor, flow: Flow | None = None) -> torch.Tensor:
        assert flow is not None
        pieces.append((x.shape[-1], flow.last))
        return x

    monkeypatch.setattr(Layers, "forward", forward)
    joined = in_pieces(Layers(), random(1, 4, 1000), 100)
    assert torch.equal(joined, random(1, 4, 1000))
    assert [last for _, last in pieces] == [False] * (len(pieces) - 1) + [True]
    assert len(pieces) > 5 and all(100 <= length < 300 for length, _ in pieces)


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
