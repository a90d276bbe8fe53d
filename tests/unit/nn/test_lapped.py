"""The lapped transform gives the samples back, and an untrained network around it is already a transform codec."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bench.nn.lapped import Cosines, Lapped, compressed, expanded, straighten


def noise(*shape: int) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_the_transform_and_its_inverse_give_the_samples_back_after_the_first_hop() -> None:
    cosines, wav = Cosines(32), noise(2, 10 * 32)
    coefficients = cosines(wav)
    assert coefficients.shape == (2, 10, 32)
    torch.testing.assert_close(cosines.inverse(coefficients)[:, 32:], wav[:, 32:], rtol=0, atol=1e-6)


def test_the_transform_keeps_energy() -> None:
    wav = torch.nn.functional.pad(noise(1, 40 * 32), (32, 32))  # silence at the ends: no half overlaps
    torch.testing.assert_close(Cosines(32)(wav).square().sum(), wav.square().sum(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("k", [3, 20])
def test_a_coefficient_is_its_own_band(k: int) -> None:
    wav = torch.cos(math.pi / 32 * (k + 0.5) * torch.arange(40 * 32))[None]
    energy = Cosines(32)(wav).square().sum((0, 1))
    assert int(energy.argmax()) == k
    assert float(energy[[i for i in range(32) if abs(i - k) > 2]].sum() / energy.sum()) < 0.01


def test_compression_is_undone() -> None:
    x = torch.linspace(-2, 2, 401)
    torch.testing.assert_close(expanded(compressed(x)), x, rtol=0, atol=2e-4)


@torch.no_grad()
def test_an_untrained_network_passes_the_low_band_of_any_length() -> None:
    torch.manual_seed(0)
    shape = Lapped(dimension=16, hop=32, width=16, hidden=32, encoder_layers=1, decoder_layers=1, analysis=64)
    encoder, decoder = shape.encoder(), shape.decoder()
    straighten(encoder, decoder)
    low, high = (0.3 * torch.sin(torch.arange(1000) * math.pi * rate)[None, None] for rate in (0.25, 0.75))
    for wav, kept in ((low, True), (high, False)):
        latents = encoder(wav)
        assert latents.shape == (1, 16, 32)
        est = decoder(latents)[..., :1000]
        error = (est - wav)[..., 64:-64].square().mean() / wav.square().mean()
        assert (error < 0.05) == kept, float(error)
