"""EnCodec piece by piece is EnCodec at once, with a state that does not grow; chunked codes carry their scales and their own layout."""

import math

import pytest
import torch
from torch import Tensor

from bench.api import Streams
from bench.nn.chunks import Chunks
from bench.nn.reflect import CentredConv1d, ReflectConv1d, reflected
from bench.tokenizers.encodec import CONFIGS, VARIANTS, ChunkedEnCodec, EnCodec, load
from tests.streams import bytes_of, fed
from tests.streams import swelling_noise as noise

HOP = 320


@pytest.fixture(scope="module")
def tiny() -> EnCodec:
    model = load(VARIANTS["tiny"].spec)
    assert isinstance(model, EnCodec)
    return model


@pytest.fixture(scope="module")
def stereo() -> ChunkedEnCodec:
    model = load(VARIANTS["tiny_stereo"].spec)
    assert isinstance(model, ChunkedEnCodec)
    return model


def test_only_the_causal_form_streams(tiny: EnCodec, stereo: ChunkedEnCodec) -> None:
    assert isinstance(tiny, Streams)
    assert not isinstance(stereo, Streams)


@pytest.mark.parametrize("sizes", [[HOP], [319], [7, 5000, 0, 333], [24_000], [100_000]])
def test_codes_equal_offline(tiny: EnCodec, sizes: list[int]) -> None:
    wav = noise(2, 52_345)  # its last frame is broken
    codes = tiny.encode(wav)
    assert min(len(level.unique()) for level in codes.unbind(1)) > 8
    assert torch.equal(fed(tiny.stream_encoder(), wav, sizes), codes)


def test_layers_in_pieces_change_nothing(tiny: EnCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    wav = noise(1, 100_001)
    codes = tiny.encode(wav)
    audio = tiny.decode(codes)
    monkeypatch.setattr("bench.nn.seanet_lstm.PIECE", 10_000)
    whole = load(VARIANTS["tiny"].spec)
    assert torch.equal(whole.encode(wav), codes)
    torch.testing.assert_close(whole.decode(codes), audio, rtol=0, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 2, HOP, 6 * HOP + 1, 7 * HOP - 1, 7 * HOP, 7 * HOP + 1, 8 * HOP + 319])
def test_short_clips_and_broken_frames_end_as_offline(tiny: EnCodec, samples: int) -> None:
    wav = noise(1, samples, samples)
    codes = tiny.encode(wav)
    assert codes.shape[-1] == math.ceil(samples / HOP)
    assert torch.equal(fed(tiny.stream_encoder(), wav, [100]), codes)
    torch.testing.assert_close(fed(tiny.stream_decoder(), codes, [1]), tiny.decode(codes), rtol=0, atol=1e-5)


@pytest.mark.parametrize("sizes", [[1], [2, 5, 0, 1], [40], [200]])
def test_audio_equals_offline(tiny: EnCodec, sizes: list[int]) -> None:
    codes = torch.randint(64, (2, 4, 161), generator=torch.Generator().manual_seed(1))
    offline = tiny.decode(codes)
    assert offline.std() > 1e-3
    torch.testing.assert_close(fed(tiny.stream_decoder(), codes, sizes), offline, rtol=0, atol=1e-5)


def test_state_stays_the_same_size(tiny: EnCodec) -> None:
    encoder, decoder = tiny.stream_encoder(), tiny.stream_decoder()
    sizes = set()
    for second in range(5):
        decoder.feed(encoder.feed(noise(1, 24_000, second)))
        assert encoder.held is not None and encoder.held.untyped_storage().nbytes() < 4 * HOP
        sizes.add((bytes_of(encoder.memory), bytes_of(decoder.memory)))
    assert len(sizes) == 1


def test_a_stream_waits_for_seven_frames_and_then_lags_by_nothing(tiny: EnCodec) -> None:
    stream = tiny.stream_encoder()
    assert stream.feed(noise(1, 7 * HOP - 1)).shape == (1, 4, 0)
    assert stream.feed(noise(1, 1)).shape == (1, 4, 7)
    assert stream.feed(noise(1, HOP)).shape == (1, 4, 1)


def test_a_frame_depends_on_no_later_sample_but_for_the_first_six(tiny: EnCodec) -> None:
    wav = noise(1, 20 * HOP)
    whole = tiny.encoder(wav)

    def moved(sample: int) -> list[int]:
        other = wav.clone()
        other[..., sample:] += noise(1, 20 * HOP - sample, seed=9)
        return (tiny.encoder(other) - whole).abs().amax((0, 1)).gt(0).nonzero().flatten().tolist()

    assert moved(7 * HOP) == list(range(7, 20))  # so right-padding spares every whole frame from the seventh on
    assert moved(6 * HOP)[0] == 0  # but the first one hears a mirror image of the six after it


def test_nothing_fed_nothing_comes_out(tiny: EnCodec) -> None:
    assert tiny.stream_encoder().flush().shape == (1, 4, 0)
    stream = tiny.stream_encoder()
    assert stream.feed(torch.zeros(3, 1, 5)).shape == (3, 4, 0)
    assert stream.flush().shape == (3, 4, 1)
    assert stream.flush().shape == (3, 4, 0)


def test_reflection_mirrors_what_is_there_and_zeros_for_the_rest() -> None:
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    assert reflected(x, 3, 1).tolist() == [[[4, 3, 2, 1, 2, 3, 4, 3]]]
    assert reflected(x[..., :2], 3, 0).tolist() == [[[0, 0, 2, 1, 2]]]


@pytest.mark.parametrize(("kind", "length"), [(ReflectConv1d, 9), (CentredConv1d, 9), (ReflectConv1d, 8), (CentredConv1d, 1)])
def test_every_sample_is_in_a_window(kind: type[ReflectConv1d] | type[CentredConv1d], length: int) -> None:
    assert kind(2, 3, 8, 4)(torch.randn(1, 2, length)).shape == (1, 3, math.ceil(length / 4))


LAYOUT = CONFIGS["48khz"].chunks


def test_the_layout_of_every_length_is_found_from_frames_and_chunks_alone() -> None:
    for total in range(1, 3 * LAYOUT.stride + LAYOUT.length, 7):
        frames = [LAYOUT.frames(n) for n in LAYOUT.samples(total)]
        assert LAYOUT.split(sum(frames), len(frames)) == frames, total


@pytest.mark.parametrize(("frames", "chunks"), [(0, 1), (151, 1), (149, 2), (301, 2), (5, 0)])
def test_frames_that_no_signal_has_are_refused(frames: int, chunks: int) -> None:
    with pytest.raises(ValueError, match="no signal has"):
        LAYOUT.split(frames, chunks)


def test_loudness_is_in_the_side_codes_and_in_the_bitrate(stereo: ChunkedEnCodec) -> None:
    wav = noise(1, 60_000, channels=2)
    loud, soft = stereo.encode(wav), stereo.encode(wav / 8)
    assert torch.equal(loud[0][..., :150], soft[0][..., :150])  # a power of two scales without rounding
    assert loud[1].shape == soft[1].shape == (1, 2, 2) and not torch.equal(loud[1], soft[1])
    torch.testing.assert_close(stereo.decode(*soft) * 8, stereo.decode(*loud), rtol=1e-4, atol=1e-6)
    assert bool(stereo.decode(loud[0], torch.full_like(loud[1], 65_535)).isfinite().all())  # a NaN among random side codes
    spec = VARIANTS["48khz-6kbps"].spec
    assert spec.bitrate == pytest.approx((4 * 10 * 150 + 32) / 0.99)  # 150 frames and a float32, every .99 s
    assert VARIANTS["24khz-1.5kbps"].spec.bitrate == 1500


def test_overlapping_chunks_of_one_signal_give_it_back() -> None:
    layout = Chunks(length=100, stride=90, hop=10)
    wav = noise(2, 255, channels=2)
    parts = [wav[..., 90 * i :][..., :100] for i in range(3)]
    torch.testing.assert_close(layout.overlap_add(parts), wav)


@pytest.mark.parametrize("wav", [torch.zeros(1, 2, 5), torch.zeros(1, 5), torch.zeros(1, 1, 0)])
def test_wrong_audio_is_refused(tiny: EnCodec, wav: Tensor) -> None:
    with pytest.raises(ValueError, match=r"wav must be \[B, 1, T\]"):
        tiny.encode(wav)


@pytest.mark.parametrize("codes", [torch.zeros(1, 3, 5, dtype=torch.int64), torch.zeros(1, 4, 5), torch.zeros(4, 5, dtype=torch.int64)])
def test_wrong_codes_are_refused(tiny: EnCodec, codes: Tensor) -> None:
    with pytest.raises(ValueError, match="codes must be"):
        tiny.decode(codes)
