"""SNAC's networks (Siuzdak et al. 2024, arxiv.org/abs/2410.14411): Snake stages with depth-wise convolutions, local attention, noise.

wav [B, 1, T] with T a multiple of the hop (and of `window` frames) <-> latents [B, D, T / hop]; not causal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.flow import Layers
from bench.nn.snake import DILATIONS, KERNEL, Conv, ResidualUnit, Snake, Tanh, Upsample

HEAD = 64  # dimensions of an attention head


@dataclass(frozen=True)
class SnacNet:
    """Both halves as data: `rates` are the encoder's strides, the decoder has them reversed."""

    rates: tuple[int, ...] = (2, 4, 8, 8)
    filters: int = 48  # of the encoder's first layer; every stage doubles them
    decoder_filters: int = 1024  # of the decoder's first stage; every stage halves them
    window: int = 0  # frames that attend to each other; 0: no attention

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return math.prod(self.rates)

    @property
    def dimension(self) -> int:
        """Of the latents."""
        return self.filters * 2 ** len(self.rates)

    def encoder(self) -> Layers:
        """A new encoder: [B, 1, n * hop] -> [B, dimension, n]."""
        width = self.filters
        layers: list[nn.Module] = [Conv(1, width, KERNEL, padding=KERNEL // 2)]
        for rate in self.rates:
            down = Conv(width, 2 * width, 2 * rate, rate, padding=math.ceil(rate / 2))
            layers += [*(ResidualUnit(width, dilation, groups=width) for dilation in DILATIONS), Snake(width), down]
            width *= 2
        return Layers(*layers, *self._attention(width), Conv(width, width, KERNEL, padding=KERNEL // 2, groups=width))

    def decoder(self) -> Decoder:
        """A new decoder: [B, dimension, n] -> [B, 1, n * hop]."""
        return Decoder(self)

    def _attention(self, width: int) -> list[nn.Module]:
        return [LocalAttention(width, self.window)] if self.window else []


class Decoder(nn.Module):
    """Latents [B, D, n] and noise -> wav [B, 1, n * hop]."""

    def __init__(self, shape: SnacNet):
        super().__init__()
        self.rates, width = tuple(reversed(shape.rates)), shape.decoder_filters
        depthwise = Conv(shape.dimension, shape.dimension, KERNEL, padding=KERNEL // 2, groups=shape.dimension)
        self.first = Layers(depthwise, Conv(shape.dimension, width, 1), *shape._attention(width))
        self.ups, self.noises, self.units = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for rate in self.rates:
            self.ups.append(Layers(Snake(width), Upsample(width, width // 2, rate, complete=True)))
            width //= 2
            self.noises.append(nn.Conv1d(width, width, 1, bias=False))
            self.units.append(Layers(*(ResidualUnit(width, dilation, groups=width) for dilation in DILATIONS)))
        self.last = Layers(Snake(width), Conv(width, 1, KERNEL, padding=KERNEL // 2), Tanh())

    def forward(self, x: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """`noise` [B, 1, T_i] for each stage, as long as what the stage gives."""
        x = self.first(x)
        for up, mix, units, drawn in zip(self.ups, self.noises, self.units, noise, strict=True):
            x = up(x)
            x = units(x + drawn * mix(x))
        return self.last(x)

    def lengths(self, frames: int) -> list[int]:
        """Samples that each stage gives of so many frames."""
        return [frames * math.prod(self.rates[: i + 1]) for i in range(len(self.rates))]


class LocalAttention(nn.Module):
    """x + attention among the frames of each window, with rotary positions that begin anew in it: [B, C, n * window] -> the same."""

    frequencies: Tensor

    def __init__(self, width: int, window: int):
        super().__init__()
        self.window = window
        self.norm = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)
        self.register_buffer("frequencies", 10_000.0 ** (-torch.arange(0, HEAD, 2).float() / HEAD))

    def forward(self, x: Tensor, flow: object = None) -> Tensor:
        angles = torch.outer(torch.arange(self.window, device=x.device).float(), self.frequencies)
        cosine, sine = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
        qkv = self.to_qkv(self.norm(x.transpose(1, 2))).unflatten(1, (-1, self.window)).unflatten(-1, (3, -1, HEAD))
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5)  # each [B, windows, heads, window, HEAD]
        q, k = (y * cosine + torch.cat([-y[..., HEAD // 2 :], y[..., : HEAD // 2]], dim=-1) * sine for y in (q, k))
        y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).flatten(-2).flatten(1, 2)
        return x + self.to_out(y).transpose(1, 2)
