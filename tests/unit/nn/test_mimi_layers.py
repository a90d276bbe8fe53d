"""Mimi piece by piece is Mimi at once, whatever the pieces, with a state that does not grow."""

from functools import partial

import pytest
import torch
from torch import Tensor

from bench.api import Streams
from bench.nn.conv import CausalConv1d, CausalConvTranspose1d, Memory
from bench.nn.seanet import SEANet
from bench.nn.stream import in_pieces
from bench.nn.transformer import Transformer, TransformerShape
from bench.tokenizers.mimi import VARIANTS, Mimi, load
from tests.streams import bytes_of, fed, swelling_noise

HOP = 1920
noise = partial(swelling_noise, swell=0.4)


@pytest.fixture(scope="module")
def tiny() -> Mimi:
    return load(VARIANTS["tiny"].spec)


def test_tiny_streams(tiny: Mimi) -> None:
    assert isinstance(tiny, Streams)


@pytest.mark.parametrize("sizes", [[HOP], [1919], [7, 5000, 0, 333], [240], [24_000], [100_000]])
def test_codes_equal_offline(tiny: Mimi, sizes: list[int]) -> None:
    wav = noise(2, 52_345)  # 27.3 frames: more than three times the attention's context of 16 positions at twice the frame rate
    codes = tiny.encode(wav)
    assert min(len(level.unique()) for level in codes.unbind(1)) > 8
    assert torch.equal(fed(tiny.stream_encoder(), wav, sizes), codes)


def test_codes_equal_offline_sample_by_sample(tiny: Mimi) -> None:
    wav = noise(1, 2 * HOP + 3)
    assert torch.equal(fed(tiny.stream_encoder(), wav, [1]), tiny.encode(wav))


@pytest.mark.parametrize("sizes", [[1], [2, 5, 0, 1], [40]])
def test_audio_equals_offline(tiny: Mimi, sizes: list[int]) -> None:
    codes = torch.randint(64, (2, 4, 61), generator=torch.Generator().manual_seed(1))
    offline = tiny.decode(codes)
    assert offline.std() > 1e-3
    torch.testing.assert_close(fed(tiny.stream_decoder(), codes, sizes), offline, rtol=0, atol=1e-5)


def test_state_stays_the_same_size(tiny: Mimi) -> None:
    encoder, decoder = tiny.stream_encoder(), tiny.stream_decoder()
    sizes = set()
    for second in range(6):
        codes = encoder.feed(noise(1, 24_000, second))
        decoder.feed(codes)
        assert encoder.held is not None and encoder.held.untyped_storage().nbytes() < 4 * HOP
        sizes.add((bytes_of(encoder.memory), bytes_of(decoder.memory)))
    assert len(sizes) == 1


def test_two_streams_do_not_disturb_each_other(tiny: Mimi) -> None:
    one, other = noise(1, 20_000, 1), noise(1, 20_000, 2)
    first, second = tiny.stream_encoder(), tiny.stream_encoder()
    pieces = [(first.feed(a), second.feed(b)) for a, b in zip(one.split(3000, -1), other.split(3000, -1), strict=True)]
    for wav, codes, stream in zip((one, other), zip(*pieces, strict=True), (first, second), strict=True):
        assert torch.equal(torch.cat([*codes, stream.flush()], dim=-1), tiny.encode(wav))


def test_nothing_fed_nothing_comes_out(tiny: Mimi) -> None:
    assert tiny.stream_encoder().flush().shape == (1, 4, 0)
    stream = tiny.stream_encoder()
    assert stream.feed(torch.zeros(3, 1, 5)).shape == (3, 4, 0)
    assert stream.flush().shape == (3, 4, 1)
    assert stream.flush().shape == (3, 4, 0)


def test_a_frame_depends_on_no_later_sample(tiny: Mimi) -> None:
    wav = noise(1, 10 * HOP)
    changed = wav.clone()
    changed[..., 5 * HOP :] = noise(1, 5 * HOP, seed=9)
    before, after = tiny.encode(wav), tiny.encode(changed)
    assert torch.equal(before[..., :5], after[..., :5])
    assert not torch.equal(before[..., 5:], after[..., 5:])


@pytest.mark.parametrize("pieces", [[1], [3, 40, 7], [100]])
def test_attention_sees_its_context_and_no_more(pieces: list[int]) -> None:
    torch.manual_seed(0)
    transformer = Transformer(TransformerShape(16, layers=1, heads=2, feedforward=32, context=20, layer_scale=1.0)).eval()
    x = torch.randn(1, 16, 100)
    with torch.inference_mode():
        whole, memory, parts, start = transformer(x), {}, [], 0
        while start < 100:
            parts.append(transformer(x[..., start : start + pieces[len(parts) % len(pieces)]], memory))
            start += parts[-1].shape[-1]
        torch.testing.assert_close(torch.cat(parts, dim=-1), whole, rtol=0, atol=1e-5)
        other = x.clone()
        other[..., 50] = torch.randn(16)
        moved = (transformer(other) - whole).abs().amax((0, 1)) > 1e-6
    assert moved.nonzero().flatten().tolist() == list(range(50, 70))


@pytest.mark.parametrize("pad", ["constant", "replicate"])
@pytest.mark.parametrize("span", [1, 2])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(7, 1, 1), (3, 1, 4), (4, 2, 1), (3, 3, 1), (1, 1, 1)])
def test_convolutions_stream(pad, span: int, kernel: int, stride: int, dilation: int) -> None:
    torch.manual_seed(0)
    down = CausalConv1d(3, 5, kernel, stride, dilation, pad=pad)
    up = CausalConvTranspose1d(5, 2, span * stride, stride)
    x = torch.randn(2, 3, 12 * stride)
    memory: Memory = {}
    with torch.inference_mode():
        whole = down(x)
        assert whole.shape == (2, 5, 12) and up(whole).shape == (2, 2, 12 * stride)
        parts = [down(piece, memory) for piece in x.split(3 * stride, -1)]
        torch.testing.assert_close(torch.cat(parts, -1), whole)
        torch.testing.assert_close(torch.cat([up(part, memory) for part in parts], -1), up(whole))


def test_replicate_padding_repeats_the_first_value() -> None:
    conv = CausalConv1d(1, 1, 4, 2, bias=False, pad="replicate")
    with torch.no_grad():
        conv.weight.fill_(1)
        assert conv(torch.full((1, 1, 6), 3.0)).tolist() == [[[12.0, 12.0, 12.0]]]


def test_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match="kernel >= stride"):
        CausalConv1d(1, 1, kernel=2, stride=3)
    with pytest.raises(ValueError, match="whole strides long"):
        CausalConvTranspose1d(1, 1, kernel=2, stride=3)


@pytest.mark.parametrize("groups", [1, 6])
@pytest.mark.parametrize("span", [1, 2])
def test_transposed_convolution_is_torchs_trimmed(groups: int, span: int) -> None:
    torch.manual_seed(0)
    up = CausalConvTranspose1d(6, 6, 3 * span, 3, groups=groups)
    x = torch.randn(2, 6, 11)
    expected = torch.nn.functional.conv_transpose1d(x, up.weight, up.bias, 3, groups=groups)[..., :33]
    torch.testing.assert_close(up(x), expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_short_pieces_through_heavy_weights_are_torchs_convolution(stride: int) -> None:
    torch.manual_seed(0)
    conv = CausalConv1d(32, 48, 4, stride)
    x = torch.randn(2, 32, 6)
    expected = torch.nn.functional.conv1d(torch.nn.functional.pad(x, (4 - stride, 0)), conv.weight, conv.bias, stride)
    with torch.inference_mode():
        assert x.numel() < conv.weight.numel()
        torch.testing.assert_close(conv(x), expected)


def test_waveform_layers_in_pieces_change_nothing(tiny: Mimi) -> None:
    wav = noise(1, 40 * HOP)
    with torch.no_grad():
        whole, pieces = tiny.encoder(wav), in_pieces(tiny.encoder, wav, 16 * HOP, None)
        torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-6)
        torch.testing.assert_close(in_pieces(tiny.decoder, whole, 32, None), tiny.decoder(whole), rtol=0, atol=1e-6)


def test_seanet_keeps_its_hop() -> None:
    shape = SEANet(filters=4, dimension=8, ratios=(4, 3), residual_layers=2)
    latents = shape.encoder()(torch.randn(2, 1, 60))
    assert shape.hop == 12 and latents.shape == (2, 8, 5)
    assert shape.decoder()(latents).shape == (2, 1, 60)


@pytest.mark.parametrize("wav", [torch.zeros(1, 2, 5), torch.zeros(1, 5), torch.zeros(1, 1, 0)])
def test_wrong_audio_is_refused(tiny: Mimi, wav: Tensor) -> None:
    with pytest.raises(ValueError, match=r"wav must be \[B, 1, T\]"):
        tiny.encode(wav)


@pytest.mark.parametrize("codes", [torch.zeros(1, 3, 5, dtype=torch.int64), torch.zeros(1, 4, 5), torch.zeros(4, 5, dtype=torch.int64)])
def test_wrong_codes_are_refused(tiny: Mimi, codes: Tensor) -> None:
    with pytest.raises(ValueError, match="codes must be"):
        tiny.decode(codes)
