"""HiFi-GAN's waveform decoder (Kong et al. 2020, arxiv.org/abs/2010.05646) and an encoder that mirrors it (Yang et al. 2023,
arxiv.org/abs/2305.02765), not causal.

wav [B, 1, T] with T a multiple of the hop <-> latents [B, D, T / hop]. Behind each change of rate, residual blocks of several kernels hear
the same signal, and their mean goes on. A stage in the middle may give, or be given, a vector that holds for the whole clip. The layers are
torch's own: with so many short convolutions of few channels they are faster on a CPU than those of bench.nn.onednn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.1  # of the leaky rectifier
LAST_SLOPE = 0.01  # before the encoder's last convolution
GROUP = 16  # channels that are normed together


@dataclass(frozen=True)
class HifiGan:
    """Both halves as data: `rates` are the decoder's, from the latents to the waveform; the encoder has them reversed."""

    rates: tuple[int, ...] = (8, 5, 4, 2)
    width: int = 512  # of the latents, the encoder's last stage and the decoder's first layer
    kernels: tuple[int, ...] = (3, 7, 11)  # of the residual blocks; the encoder has them reversed
    dilations: tuple[int, ...] = (1, 3, 5)

    @property
    def hop(self) -> int:
        """Samples a latent frame."""
        return math.prod(self.rates)

    @property
    def middle(self) -> int:
        """Number of the encoder's stage whose output is as wide as the decoder's stage that takes the clip's vector."""
        return len(self.rates) // 2 - 1

    @property
    def middle_width(self) -> int:
        """Channels there."""
        return self.width >> len(self.rates) - 1 - self.middle


class Block(nn.Module):
    """For each dilation: x + two activated convolutions, the first one dilated. [B, C, T] -> the same."""

    def __init__(self, width: int, kernel: int, dilations: tuple[int, ...]):
        super().__init__()
        half = kernel // 2
        self.first = nn.ModuleList(nn.Conv1d(width, width, kernel, dilation=step, padding=half * step) for step in dilations)
        self.second = nn.ModuleList(nn.Conv1d(width, width, kernel, padding=half) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(F.leaky_relu(first(F.leaky_relu(x, SLOPE)), SLOPE, inplace=True))
        return x


class Mean(nn.Module):
    """The mean of what residual blocks of several kernels make of x [B, C, T]; `normed`: the running sum, after each of them."""

    def __init__(self, width: int, kernels: tuple[int, ...], dilations: tuple[int, ...], normed: bool):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, kernel, dilations) for kernel in kernels)
        self.norms = nn.ModuleList(nn.GroupNorm(width // GROUP, width, 1e-6) if normed else nn.Identity() for _ in kernels)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor | None = None
        for block, norm in zip(self.blocks, self.norms, strict=True):
            y = block(x)
            total = norm(y if total is None else total + y)
        assert total is not None
        return total / len(self.blocks)


class Down(nn.Conv1d):
    """Strided convolution: [B, in, T] -> [B, out, T / rate]."""

    def __init__(self, inputs: int, outputs: int, rate: int):
        super().__init__(inputs, outputs, 2 * rate + rate % 2, rate, padding=(rate + 1) // 2)


class Up(nn.ConvTranspose1d):
    """Transposed convolution: [B, in, T] -> [B, out, T * rate]."""

    def __init__(self, inputs: int, outputs: int, rate: int):
        super().__init__(inputs, outputs, 2 * rate + rate % 2, rate, padding=(rate + 1) // 2)


class Encoder(nn.Module):
    """wav [B, 1, n * hop] -> latents [B, D, n] and what the middle stage gave [B, C, T']."""

    def __init__(self, shape: HifiGan):
        super().__init__()
        width = shape.width >> len(shape.rates)
        self.first = nn.Conv1d(1, width, 7, padding=3)
        self.changes, self.means, self.middle = nn.ModuleList(), nn.ModuleList(), shape.middle
        for rate in reversed(shape.rates):
            self.changes.append(Down(width, 2 * width, rate))
            width *= 2
            self.means.append(Mean(width, shape.kernels[::-1], shape.dilations, normed=True))
        self.last = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        x, middle = self.first(wav), torch.empty(0)
        for index, (change, mean) in enumerate(zip(self.changes, self.means, strict=True)):
            x = mean(change(F.leaky_relu(x, SLOPE)))
            middle = x if index == self.middle else middle
        return self.last(F.leaky_relu(x, LAST_SLOPE)), middle


class Decoder(nn.Module):
    """Latents [B, D, n] and a vector of the clip [B, C, 1] -> wav [B, 1, n * hop]."""

    def __init__(self, shape: HifiGan):
        super().__init__()
        width = shape.width
        self.first = nn.Conv1d(width, width, 7, padding=3)
        self.changes, self.means, self.middle_width = nn.ModuleList(), nn.ModuleList(), shape.middle_width
        for rate in shape.rates:
            self.changes.append(Up(width, width // 2, rate))
            width //= 2
            self.means.append(Mean(width, shape.kernels, shape.dilations, normed=False))
        self.last = nn.Conv1d(width, 1, 7, padding=3)

    def forward(self, latents: Tensor, vector: Tensor) -> Tensor:
        x = self.first(latents)
        for change, mean in zip(self.changes, self.means, strict=True):
            x = mean(change(F.leaky_relu(x, SLOPE)))
            if x.shape[1] == self.middle_width:
                x = x + vector
        return self.last(F.leaky_relu(x, SLOPE)).tanh()
