"""SpectroStream's streams, what they wait for, and what is refused; tests/parity/test_spectrostream.py has its codes and its audio."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench import registry
from bench.api import Streams
from bench.nn.spectral import SpectralNet
from bench.tokenizers.spectrostream import VARIANTS, SpectroStream, load
from tests.streams import bytes_of, fed, swelling_noise

HOP = 1_920


@pytest.fixture(scope="module")
def tiny() -> SpectroStream:
    return load(VARIANTS["tiny"].spec)


def noise(batch: int, samples: int, seed: int = 0) -> Tensor:
    return swelling_noise(batch, samples, seed, channels=2)


def test_the_variants_are_the_papers_rates() -> None:
    assert {name: line.spec.bitrate for name, line in VARIANTS.items() if name != "tiny"} == {
        f"{rate}kbps": 1000 * rate for rate in (3, 4, 8, 16)
    }
    assert registry.variant("spectrostream").spec.label == "spectrostream@4kbps"
    assert (SpectralNet().hop, SpectralNet().bins) == (HOP, 5)


@pytest.mark.parametrize("sizes", [[HOP], [481, 1_919, 0, 7], [100_000]])
def test_codes_equal_offline(tiny: SpectroStream, sizes: list[int]) -> None:
    wav = noise(2, 13 * HOP + 481)
    codes = tiny.encode(wav)
    assert codes.shape == (2, 4, 14) and min(len(level.unique()) for level in codes.unbind(1)) > 4
    assert torch.equal(fed(tiny.stream_encoder(), wav, sizes), codes)


@pytest.mark.parametrize("samples", [1, 480, 481, HOP - 1, HOP, HOP + 1, 2 * HOP - 480, 2 * HOP])
def test_any_length_streams(tiny: SpectroStream, samples: int) -> None:
    wav = noise(1, samples)
    codes = tiny.encode(wav)
    assert codes.shape[-1] == -(-samples // HOP)
    assert torch.equal(fed(tiny.stream_encoder(), wav, [333]), codes)


@pytest.mark.parametrize("sizes", [[1], [2, 5, 0, 1], [40]])
def test_audio_equals_offline(tiny: SpectroStream, sizes: list[int]) -> None:
    codes = torch.randint(64, (2, 4, 31), generator=torch.Generator().manual_seed(1))
    offline = tiny.decode(codes)
    assert offline.shape == (2, 2, 31 * HOP) and offline.std() > 1e-2
    torch.testing.assert_close(fed(tiny.stream_decoder(), codes, sizes), offline, rtol=0, atol=1e-5)


def test_a_stream_waits_for_10_ms_of_sound_and_for_a_frame_of_codes(tiny: SpectroStream) -> None:
    assert isinstance(tiny, Streams) and not tiny.spec.causal
    encoder, decoder = tiny.stream_encoder(), tiny.stream_decoder()
    assert encoder.feed(noise(1, HOP + 479)).shape == (1, 4, 0)
    codes = encoder.feed(noise(1, 1))
    assert codes.shape == (1, 4, 1)
    assert decoder.feed(codes).shape == (1, 2, 0)
    assert decoder.feed(codes).shape == (1, 2, HOP)
    assert decoder.flush().shape == (1, 2, HOP) and decoder.flush().shape == (1, 2, 0)


@torch.no_grad()
def test_a_frame_hears_10_ms_of_the_next_one_and_no_more(tiny: SpectroStream) -> None:
    wav = noise(1, 10 * HOP)
    for later, same in ((480, True), (470, False)):
        changed = wav.clone()
        changed[..., 5 * HOP + later :] *= 30
        assert torch.equal(*(tiny.latents(x)[..., :5] for x in (wav, changed))) == same


def test_a_frame_of_audio_needs_the_next_frame_and_no_more(tiny: SpectroStream) -> None:
    codes = torch.randint(64, (1, 4, 9), generator=torch.Generator().manual_seed(1))
    changed = codes.clone()
    changed[..., 5:] = (changed[..., 5:] + 1) % 64
    different = (tiny.decode(codes) - tiny.decode(changed)).abs().amax(1)[0] > 1e-6
    assert int(different.nonzero()[0]) // 480 == 4 * 4  # the frame before, from its first spectrum on


def test_state_stays_the_same_size(tiny: SpectroStream) -> None:
    encoder, decoder = tiny.stream_encoder(), tiny.stream_decoder()
    sizes = set()
    for turn in range(4):
        decoder.feed(encoder.feed(noise(1, 8 * HOP, turn)))
        assert encoder.held is not None and encoder.held.untyped_storage().nbytes() < 2 * 4 * (HOP + 480)
        sizes.add((bytes_of(encoder.memory), bytes_of(decoder.memory)))
    assert len(sizes) == 1


def test_nothing_fed_nothing_comes_out(tiny: SpectroStream) -> None:
    assert tiny.stream_encoder().flush().shape == (1, 4, 0)
    assert tiny.stream_decoder().flush().shape == (1, 2, 0)


@pytest.mark.parametrize("wav", [torch.zeros(1, 1, 100), torch.zeros(2, 100), torch.zeros(1, 2, 0)])
def test_wrong_audio_is_refused(tiny: SpectroStream, wav: Tensor) -> None:
    with pytest.raises(ValueError, match=r"wav must be \[B, 2, T\]"):
        tiny.encode(wav)


@pytest.mark.parametrize("codes", [torch.zeros(1, 5, 2, dtype=torch.long), torch.zeros(1, 4, 2), torch.zeros(1, 4, 0, dtype=torch.long)])
def test_wrong_codes_are_refused(tiny: SpectroStream, codes: Tensor) -> None:
    with pytest.raises(ValueError, match=r"codes must be \[B, 4, F\]"):
        tiny.decode(codes)
