"""MFCC against Kaldi's own code (kaldi-native-fbank 1.23.0), and facts that hold without it."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.nn.mfcc import Mfcc, delta
from tests.conftest import speech_like


def kaldi(wav: Tensor) -> Tensor:
    """The 13 cepstra [F, 13] of wav [T], by Kaldi."""
    knf = pytest.importorskip("kaldi_native_fbank", reason="the oracle is missing: pip install kaldi-native-fbank")
    options = knf.MfccOptions()
    options.frame_opts.dither, options.frame_opts.samp_freq, options.use_energy = 0, 16_000, False
    options.num_ceps, options.mel_opts.num_bins = 13, 23
    kaldi = knf.OnlineMfcc(options)
    kaldi.accept_waveform(16_000, wav.tolist())
    kaldi.input_finished()
    return torch.from_numpy(np.stack([kaldi.get_frame(i) for i in range(kaldi.num_frames_ready)]))


@pytest.mark.parametrize("length", [400, 559, 560, 16_000, 23_457])
@pytest.mark.parametrize("level", [1.0, 1e-3])
def test_cepstra_equal_those_of_kaldi(length: int, level: float) -> None:
    wav = level * speech_like(length / 16_000, 16_000, length)
    mine = Mfcc()(wav[None, None])[0, :, :13]
    theirs = kaldi(wav)
    assert mine.shape == theirs.shape == (1 + (length - 400) // 160, 13)
    torch.testing.assert_close(mine, theirs, rtol=0, atol=2e-3)  # of values up to 100: logarithms of sums in float32


def test_a_delta_is_the_slope_of_the_fitted_line() -> None:
    x = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0)).double()
    for frame in range(2, 7):
        for b in range(2):
            slope = np.polyfit(np.arange(-2, 3), x[b, frame - 2 : frame + 3].numpy(), 1)[0]
            assert delta(x)[b, frame].numpy() == pytest.approx(slope)
    line = torch.arange(8.0)[None, :, None] * 3
    assert delta(line)[0, :, 0].tolist() == pytest.approx([1.5, 2.4, 3, 3, 3, 3, 2.4, 1.5])  # the ends are repeated


def test_the_last_cepstra_are_deltas_of_the_first() -> None:
    features = Mfcc()(speech_like(0.5, 16_000)[None, None])
    torch.testing.assert_close(features[..., 13:26], delta(features[..., :13]))
    torch.testing.assert_close(features[..., 26:], delta(features[..., 13:26]))


@pytest.mark.parametrize("length", [1, 159, 399])
def test_less_than_a_frame_is_filled_up_with_zeros(length: int) -> None:
    wav = speech_like(1, 16_000)[None, None, :length]
    padded = torch.nn.functional.pad(wav, (0, 400 - length))
    assert torch.equal(Mfcc()(wav), Mfcc()(padded)) and Mfcc()(wav).shape == (1, 1, 39)


def test_silence_is_the_floor() -> None:
    features = Mfcc()(torch.zeros(1, 1, 4000))[0]
    assert features[:, 0].tolist() == pytest.approx([math.log(2**-23) * math.sqrt(23)] * len(features), rel=1e-5)
    assert features[:, 1:].abs().max() < 1e-3
