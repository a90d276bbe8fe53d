"""bench.nn.half_snake: the same by oneDNN and by torch's own layers, piece by piece and at once, and a decoder without future."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.nn.half_snake import Decoder, Encoder, HalfSnake, HalfSnakeGan, PairUp
from bench.tokenizers.nanocodec import VARIANTS, NanoCodec, load
from bench.weights.files import seeded

SHAPE = HalfSnakeGan(rates=(7, 3), dimension=6, encoder_width=5, decoder_width=36)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def halves() -> tuple[Encoder, Decoder]:
    encoder, decoder = Encoder(SHAPE), Decoder(SHAPE)
    for half in (encoder, decoder):
        seeded(half, torch.Generator().manual_seed(0))
    return encoder, decoder


@torch.no_grad()
def test_both_paths_give_the_same(halves: tuple[Encoder, Decoder]) -> None:
    for half, x in zip(halves, (noise(2, 1, 40 * SHAPE.hop), noise(2, 6, 40)), strict=True):
        before, y = x.clone(), half(x)
        with torch.backends.mkldnn.flags(enabled=False):
            torch.testing.assert_close(half(x), y, rtol=0, atol=2e-5)
        assert torch.equal(x, before)
        with torch.enable_grad():  # no item by item, no piece by piece
            torch.testing.assert_close(half(x).detach(), y, rtol=0, atol=2e-5)


@torch.no_grad()
def test_transposed_pairs_are_torchs_grouped_layer_without_its_end() -> None:
    layer, x = PairUp(7, 3), noise(2, 14, 9)
    seeded(layer, torch.Generator().manual_seed(0))
    expected = F.conv_transpose1d(x, layer.weight, layer.bias, stride=3, groups=7)[..., :27]
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_half_of_the_channels_are_waves() -> None:
    layer, x = HalfSnake(5), noise(1, 5, 8)
    layer.alpha.copy_(torch.tensor([0.5, 2.0]))
    y = layer(x)
    torch.testing.assert_close(y[0, 1], x[0, 1] + (2 * x[0, 1]).sin() ** 2 / 2)
    torch.testing.assert_close(y[0, 2:], F.leaky_relu(x[0, 2:], 0.01))


@pytest.fixture(scope="module")
def codec() -> NanoCodec:
    return load(VARIANTS["tiny"].spec)


@pytest.mark.parametrize("sizes", [(1,) * 12, (5, 0, 6, 1)])
@torch.inference_mode()
def test_the_decoder_streams(codec: NanoCodec, sizes: tuple[int, ...]) -> None:
    codes = codec.encode(0.3 * noise(1, 1, 12 * codec.hop))
    stream = codec.stream_decoder()
    pieces = [stream.feed(piece) for piece in codes.split(sizes, dim=-1)]
    wav = torch.cat([*pieces, stream.flush()], dim=-1)
    assert [piece.shape[-1] for piece in pieces] == [size * codec.hop for size in sizes]
    torch.testing.assert_close(wav, codec.decode(codes), rtol=0, atol=1e-6)


@torch.inference_mode()
def test_the_decoder_hears_no_future(codec: NanoCodec) -> None:
    codes = codec.encode(0.3 * noise(1, 1, 12 * codec.hop))
    other = codes.clone()
    other[..., 8:] = (other[..., 8:] + 1) % codec.quantizer.size
    first, second = codec.decode(codes), codec.decode(other)
    torch.testing.assert_close(first[..., : 8 * codec.hop], second[..., : 8 * codec.hop], rtol=0, atol=1e-6)
    assert (first - second)[..., 8 * codec.hop :].abs().max() > 1e-2
