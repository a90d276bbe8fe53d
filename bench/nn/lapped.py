"""A small codec network around a lapped transform: wav [B, 1, T] <-> latents [B, D, ceil(T / hop)], not causal.

The modified discrete cosine transform (Princen & Bradley 1986) turns a clip into as many coefficients as it has samples. Their square
roots, sign kept, are what the latents begin with: the lowest D of a frame pass straight through, so an untrained network already is a
band-limited transform codec, and training starts from audio instead of from nothing. ConvNeXt blocks on both sides add to that straight
path what coding well takes: the encoder also sees log spectra, the decoder makes up the bands and phases that no latent holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.vocos import LogSpectrum, Stack


@dataclass(frozen=True)
class Lapped:
    """Both halves as data."""

    dimension: int = 128  # of the latents: so many of a frame's `hop` coefficients pass straight through
    hop: int = 320  # samples per frame; windows are two hops long
    width: int = 256
    hidden: int = 768
    kernel: int = 7
    encoder_layers: int = 3
    decoder_layers: int = 6
    analysis: int = 1024  # samples of the window of the log spectra

    channels = 1
    causal = False

    def stack(self, layers: int) -> Stack:
        """Blocks of this width."""
        return Stack(self.width, self.hidden, self.kernel, layers, causal=False)

    def encoder(self) -> LappedEncoder:
        """A new encoder."""
        return LappedEncoder(self)

    def decoder(self) -> LappedDecoder:
        """A new decoder."""
        return LappedDecoder(self)


class Cosines(nn.Module):
    """The transform: wav [B, F * hop] -> coefficients [B, F, hop]; those of frame f come from samples f * hop .. (f + 2) * hop."""

    basis: Tensor

    def __init__(self, hop: int):
        super().__init__()
        self.hop = hop
        n, k = torch.arange(2 * hop, dtype=torch.float64)[:, None] + 0.5, torch.arange(hop, dtype=torch.float64) + 0.5
        basis = torch.sin(math.pi / (2 * hop) * n) * torch.cos(math.pi / hop * (n + hop / 2) * k) * math.sqrt(2 / hop)
        self.register_buffer("basis", basis.float(), persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        hops = F.pad(wav, (0, self.hop)).unflatten(-1, (-1, self.hop))
        return torch.cat([hops[:, :-1], hops[:, 1:]], dim=-1) @ self.basis

    def inverse(self, coefficients: Tensor) -> Tensor:
        """[B, F, hop] -> wav [B, F * hop]: exact but for the first hop, half of whose overlap no frame holds."""
        first, second = (coefficients @ self.basis.T).split(self.hop, dim=-1)
        return (first + F.pad(second, (0, 0, 1, -1))).flatten(1)


def compressed(x: Tensor) -> Tensor:
    """Square root of the size, sign kept: errors of like size are heard alike; the slope at zero stays finite."""
    return x * (x.abs() + 1e-4).rsqrt()


def expanded(x: Tensor) -> Tensor:
    """What `compressed` came from, but for the smallest values."""
    return x * x.abs()


class LappedEncoder(nn.Module):
    """wav [B, 1, T] -> latents [B, D, ceil(T / hop)]."""

    def __init__(self, shape: Lapped):
        super().__init__()
        self.hop, self.dimension = shape.hop, shape.dimension
        self.cosines, self.spectrum = Cosines(shape.hop), LogSpectrum(shape.analysis, shape.hop, causal=False)
        self.embed = nn.Linear(shape.hop + shape.analysis // 2 + 1, shape.width)
        self.stack = shape.stack(shape.encoder_layers)
        self.gather = nn.Linear(shape.width, shape.dimension)

    def forward(self, wav: Tensor) -> Tensor:
        wav = F.pad(wav, (0, -wav.shape[-1] % self.hop))
        straight = compressed(self.cosines(wav[:, 0]))
        x = self.embed(torch.cat([self.spectrum(wav).transpose(1, 2), straight], dim=-1))
        return self.gather(self.stack(x.transpose(1, 2)).transpose(1, 2)).transpose(1, 2) + straight[..., : self.dimension].transpose(1, 2)


class LappedDecoder(nn.Module):
    """Latents [B, D, F] -> wav [B, 1, F * hop]."""

    def __init__(self, shape: Lapped):
        super().__init__()
        self.rest = shape.hop - shape.dimension
        self.spread = nn.Linear(shape.dimension, shape.width)
        self.stack = shape.stack(shape.decoder_layers)
        self.head = nn.Linear(shape.width, shape.hop)
        self.cosines = Cosines(shape.hop)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.spread(latents.transpose(1, 2)).transpose(1, 2)
        x = self.head(self.stack(x).transpose(1, 2)).float() + F.pad(latents.transpose(1, 2).float(), (0, self.rest))
        return self.cosines.inverse(expanded(x))[:, None]


@torch.no_grad()
def straighten(*halves: nn.Module) -> None:
    """Make the blocks' own part small: what training begins with is the straight path."""
    for half in halves:
        for name, value in half.named_parameters():
            if name.startswith(("gather.", "head.")):
                value.mul_(0.02)
