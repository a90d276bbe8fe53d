"""bench.nn.vocos: pieces give what the whole gives, nothing looks ahead, and the transforms are what they say."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from bench.nn.conv import Memory
from bench.nn.vocos import InverseSpectrum, LogSpectrum, Vocos

SMALL = Vocos(dimension=16, step=48, stride=2, width=24, hidden=32, kernel=3, encoder_layers=1, decoder_layers=2, analysis=256, overlap=3)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pair() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return SMALL.encoder().eval(), SMALL.decoder().eval()


@pytest.mark.parametrize("sizes", [(1,) * 7, (3, 4), (2, 1, 4), (7,)])
@torch.no_grad()
def test_a_stream_gives_what_the_whole_signal_gives(sizes: tuple[int, ...]):
    encoder, decoder = pair()
    wav = noise(2, 1, 7 * SMALL.hop) * 0.1
    latents = encoder(wav)
    memory: Memory = {}
    pieces = [encoder(piece, memory) for piece in wav.split([n * SMALL.hop for n in sizes], dim=-1)]
    assert torch.allclose(torch.cat(pieces, -1), latents, atol=1e-5)
    memory = {}
    sounds = [decoder(piece, memory) for piece in latents.split(list(sizes), dim=-1)]
    assert [sound.shape[-1] for sound in sounds] == [n * SMALL.hop for n in sizes]
    assert torch.allclose(torch.cat(sounds, -1), decoder(latents), atol=1e-5)


@torch.no_grad()
def test_what_comes_later_changes_nothing_before():
    encoder, decoder = pair()
    wav = noise(1, 1, 8 * SMALL.hop) * 0.1
    other = torch.cat([wav[..., : 5 * SMALL.hop], noise(1, 1, 3 * SMALL.hop, seed=1)], -1)
    assert torch.equal(encoder(wav)[..., :5], encoder(other)[..., :5])
    assert not torch.allclose(encoder(wav)[..., 5:], encoder(other)[..., 5:], atol=1e-3)
    latents = noise(1, 16, 8)
    changed = torch.cat([latents[..., :5], noise(1, 16, 3, seed=1)], -1)
    assert torch.allclose(decoder(latents)[..., : 5 * SMALL.hop], decoder(changed)[..., : 5 * SMALL.hop], atol=1e-6)


@torch.no_grad()
def test_the_last_samples_of_a_frame_reach_its_latent():
    encoder, _ = pair()
    wav = noise(1, 1, 4 * SMALL.hop) * 0.1
    moved = wav.clone()
    moved[..., 2 * SMALL.hop - 20 : 2 * SMALL.hop] += 0.5
    assert not torch.allclose(encoder(wav)[..., 1], encoder(moved)[..., 1], atol=1e-3)


def test_a_full_scale_sine_reads_a_quarter_of_the_window():
    spectrum = LogSpectrum(256, 64)
    sine = torch.sin(2 * math.pi * 32 / 256 * torch.arange(1024))[None, None]
    assert spectrum(sine)[0, :, -1].max().item() == pytest.approx(0.2 * math.log(64 + 0.01), abs=1e-3)
    assert spectrum(torch.zeros(1, 1, 1024)).unique().item() == pytest.approx(0.2 * math.log(0.01))


@torch.no_grad()
def test_overlap_add_equals_adding_frame_by_frame():
    torch.manual_seed(0)
    head = InverseSpectrum(8, step=10, overlap=4)
    x = noise(1, 8, 6)
    magnitude, phase = head.linear(x.transpose(1, 2)).split(head.bins, dim=-1)
    frames = torch.fft.irfft(torch.polar(magnitude.exp(), phase), n=40)[0] * torch.hann_window(40) / 2
    expected = torch.zeros(6 * 10 + 30)
    for i, frame in enumerate(frames):
        expected[10 * i : 10 * i + 40] += frame
    assert torch.allclose(head(x)[0, 0], expected[:60], atol=1e-6)
