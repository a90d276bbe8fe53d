"""The anchors do exactly one thing each, and it is measured here."""

import math

import pytest
import torch
from torch import Tensor

from bench import registry
from bench.data import synthetic_audio


def there_and_back(name: str, wav: Tensor) -> Tensor:
    """wav [B, 1, T] through a tokenizer, trimmed."""
    tokenizer = registry.load_tokenizer(name)
    return tokenizer.decode(tokenizer.encode(wav))[..., : wav.shape[-1]]


def tone(frequency: float, sample_rate: int, peak: float = 0.5) -> Tensor:
    """One second [1, 1, T]."""
    return peak * torch.sin(2 * math.pi * frequency * torch.arange(sample_rate, dtype=torch.float64) / sample_rate).float()[None, None]


def snr(ref: Tensor, est: Tensor) -> float:
    """dB."""
    return float(10 * torch.log10(ref.square().sum() / (ref - est).square().sum()))


@pytest.mark.parametrize("name", ["identity", "shuffled", "resample@24khz", "resample@16khz", "resample@8khz"])
def test_samples_survive_bit_for_bit(name: str) -> None:
    odd = torch.tensor([0.0, -0.0, 1.0, -1.0, 3.5, 1e-40, -1e-45, math.inf, -math.inf, math.nan])
    wav = torch.cat([odd, synthetic_audio.noise((500,), seed=0)])[None, None]
    assert torch.equal(there_and_back(name, wav).view(torch.int32), wav.view(torch.int32))


def test_resampling_anchors_say_their_rate_and_its_bits() -> None:
    for name, rate in {"resample@24khz": 24_000, "resample@16khz": 16_000, "resample@8khz": 8_000}.items():
        spec = registry.variant(name).spec
        assert (spec.sample_rate, spec.bitrate) == (rate, 32 * rate)


def test_only_the_shuffled_anchor_is_shuffled() -> None:
    assert [name for name in registry.names() if registry.variant(name).spec.shuffled] == ["shuffled@float32"]


def test_identity_takes_any_rate() -> None:
    spec = registry.variant("identity").spec
    assert spec.sample_rate is None and math.isnan(spec.bitrate)


def test_the_bytes_of_mulaw_are_those_of_ffmpeg() -> None:
    av = pytest.importorskip("av", reason="PyAV brings the oracle")
    decoder = av.CodecContext.create("pcm_mulaw", "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    (frame,) = decoder.decode(av.Packet(bytes(range(256))))
    ours = registry.load_tokenizer("mulaw").decode(torch.arange(256)[None, None])
    assert (ours * 32768).long().flatten().tolist() == frame.to_ndarray().flatten().tolist()


def test_mulaw_rounds_by_at_most_half_a_step_of_the_segment() -> None:
    pcm = torch.arange(-32635, 32636)
    error = (there_and_back("mulaw", pcm[None, None] / 32768)[0, 0] * 32768 - pcm).abs()
    half = 2.0 ** ((pcm.abs() + 132).double().log2().floor() - 5)  # G.711: a segment of 2**(s+7) is cut into 16 steps
    assert bool((error <= half).all()) and float(error.max()) == 512


def test_mulaw_keeps_its_own_levels() -> None:
    codec = registry.load_tokenizer("mulaw")
    every = torch.arange(256)[None, None]
    again = codec.encode(codec.decode(every))
    assert (again != every).nonzero()[:, 2].tolist() == [127]  # minus zero becomes zero
    assert int(codec.encode(torch.zeros(1, 1, 1))) == 255  # G.711's byte of silence
    assert float(codec.decode(codec.encode(torch.zeros(1, 1, 1)))) == 0.0


@pytest.mark.parametrize("level", [0.0, -10.0, -20.0, -30.0])
def test_mulaw_noise_follows_the_level_over_30_db(level: float) -> None:
    wav = tone(997.0, 16_000, peak=0.99 * 10 ** (level / 20))
    assert 33 < snr(wav, there_and_back("mulaw", wav)) < 40  # 33 dB is what G.712 asks of a telephone line, 38 the textbook's figure


def test_mulaw_clips_what_is_beyond_full_scale() -> None:
    wav = torch.tensor([[[5.0, -5.0, 1.0, -1.0]]])
    assert registry.load_tokenizer("mulaw").encode(wav).flatten().tolist() == [128, 0, 128, 0]


@pytest.mark.parametrize(("frequency", "low", "high"), [(200, -0.01, 0.01), (3000, -0.01, 0.01), (3390, -0.02, 0.02)])
def test_lowpass_leaves_the_telephone_band_alone(frequency: float, low: float, high: float) -> None:
    wav = tone(frequency, 24_000)
    back = there_and_back("lowpass", wav)
    middle = slice(2000, -2000)
    gain = float(20 * torch.log10(back[..., middle].norm() / wav[..., middle].norm()))
    assert low < gain < high
    assert snr(wav[..., middle], back[..., middle]) > 55  # neither the phase nor the time has moved


def test_lowpass_leaves_nothing_above_its_stopband() -> None:
    back = there_and_back("lowpass", synthetic_audio.noise((1, 1, 24_000), seed=1))[0, 0, 2000:-2000].double()
    power = torch.fft.rfft(back * torch.hann_window(len(back), dtype=torch.float64)).abs().square()
    hz = torch.arange(len(power)) * 24_000 / len(back)
    assert float(10 * torch.log10(power[hz > 3650].amax() / power[hz < 3350].mean())) < -80


def test_lowpass_has_no_delay() -> None:
    impulse = torch.zeros(1, 1, 4001)
    impulse[..., 2000] = 0.9
    back = there_and_back("lowpass", impulse)[0, 0]
    assert int(back.abs().argmax()) == 2000
    torch.testing.assert_close(back, back.flip(0), atol=2**-24, rtol=0)
