"""The activation at twice the sample rate: the two filters as they are defined, piece by piece or whole."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.nn import flow
from bench.nn.anti_aliased import AntiAliased, anti_aliased_snake, low_pass
from bench.nn.flow import flowing
from bench.nn.snake import SnakeNet


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def defined(layer: AntiAliased, x: Tensor) -> Tensor:
    """By zeros between the samples, and by leaving out every second one."""
    channels = x.shape[1]
    up, down = (taps.expand(channels, 1, 12) for taps in (layer.up, layer.down))
    twice = 2 * F.conv_transpose1d(F.pad(x, (5, 5), mode="replicate"), up, stride=2, groups=channels)[..., 15:-15]
    return F.conv1d(F.pad(layer.act(twice), (5, 6), mode="replicate"), down, stride=2, groups=channels)


def lively(channels: int = 3) -> AntiAliased:
    """With filters that are not symmetric: a tap in another's place would be heard."""
    layer = anti_aliased_snake(channels)
    with torch.no_grad():
        for index, value in enumerate(layer.state_dict().values()):
            value.add_(0.3 * random(*value.shape, seed=index))
    return layer


@pytest.mark.parametrize("length", [1, 2, 11, 200])
def test_is_its_definition(length: int) -> None:
    layer, x = lively(), random(2, 3, length)
    before, expected = x.clone(), defined(layer, x).detach()
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=2e-6)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=2e-6)
    assert torch.equal(x, before)


@pytest.mark.parametrize("size", [1, 5, 12, 13, 64])
@pytest.mark.parametrize("length", [1, 12, 13, 200])
def test_pieces_make_the_whole(size: int, length: int) -> None:
    layer, x = lively(), random(2, 3, length)
    with torch.no_grad():
        pieces = torch.cat(list(flowing(layer, iter(x.split(7, -1)), size, {})), -1)
        torch.testing.assert_close(pieces, layer(x), rtol=0, atol=2e-6)


def test_overtones_do_not_fold_back() -> None:
    tone = torch.sin(2 * math.pi * 0.3 * torch.arange(4000.0))[None, None]
    layer = AntiAliased(1, torch.nn.ReLU())

    def folded(x: Tensor) -> Tensor:
        """Strength of the second overtone, folded to 1 - 2 * 0.3 of the rate, against the tone's."""
        spectrum = torch.fft.rfft(x[0, 0] * torch.hann_window(4000)).abs()
        return spectrum[1600] / spectrum[1200]

    with torch.no_grad():
        assert folded(layer(tone)) < 0.3 * folded(tone.relu())
    assert low_pass().sum().item() == pytest.approx(1)


@pytest.mark.parametrize("frames", [1, 9, 133])
@pytest.mark.parametrize("rates", [(2, 4, 8), (2, 2, 5)])
def test_networks_in_pieces_are_the_same_function(rates: tuple[int, ...], frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "CACHED", 0)  # the shortest pieces that there are
    net = SnakeNet(rates, filters=2, dimension=6, decoder_filters=32, complete=True, activation=anti_aliased_snake, lstm=2)
    encoder, decoder, wav = net.encoder(), net.decoder(), random(2, 1, frames * net.hop)
    latents = encoder(wav).detach()
    audio = decoder(latents).detach()
    assert latents.shape == (2, 6, frames) and audio.shape == wav.shape
    with torch.no_grad():
        torch.testing.assert_close(encoder(wav), latents, rtol=0, atol=2e-6)
        torch.testing.assert_close(decoder(latents), audio, rtol=0, atol=2e-6)


def test_gradients_reach_every_parameter() -> None:
    net = SnakeNet((2, 3), filters=2, dimension=6, decoder_filters=16, activation=anti_aliased_snake, lstm=1)
    encoder, decoder = net.encoder(), net.decoder()
    decoder(encoder(random(2, 1, 60))).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for half in (encoder, decoder) for p in half.parameters())
