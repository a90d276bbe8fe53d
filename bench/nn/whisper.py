"""The encoder of Whisper (Radford et al. 2022, arxiv.org/abs/2212.04356): log-mel spectra, two convolutions, transformer layers.

wav [B, 1, T] at 16 kHz -> [B, mels, T // 160] -> [B, F, D], every frame a mix of the whole clip. Also with rotary positions; with a
memory in each layer's attention: a depth-wise convolution of the values (FSMN, Zhang et al. 2018, arxiv.org/abs/1803.05030); and with
causal convolutions and attention by blocks of frames, none of which sees a later block (Zeng et al. 2024, arxiv.org/abs/2412.02612).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.metrics.mel import mel_filters, power_spectra
from bench.nn.onednn import linear
from bench.nn.snake import Conv
from bench.nn.transformer import rotate, rotations
from bench.nn.vocos import PaddedConv1d

RATE, WINDOW, HOP = 16_000, 400, 160
FLOOR, RANGE = 1e-10, 8.0  # of the power; decades below the clip's loudest that are heard


@dataclass(frozen=True)
class WhisperShape:
    """An encoder as data."""

    mels: int = 128
    dimension: int = 1280
    heads: int = 20
    layers: int = 6
    strides: tuple[int, int] = (1, 2)  # of the two convolutions
    positions: int = 1500  # frames that have an embedding of their own, which is added; 0: rotary positions instead
    memory: int = 0  # frames that the convolution of the values sees; 0: none
    causal: bool = False  # the two convolutions see no later spectra
    block: int = 0  # frames that see each other and those before, but none after; 0: all see all

    @property
    def hop(self) -> int:
        """Samples to a frame."""
        return HOP * math.prod(self.strides)


class LogMel(nn.Module):
    """wav [B, 1, T], T > 200 -> [B, mels, T // 160]: decades of power over four, cut off eight decades below the clip's loudest."""

    window: Tensor
    filters: Tensor

    def __init__(self, mels: int):
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("filters", mel_filters(RATE, WINDOW, mels), persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        frames = F.pad(wav, (WINDOW // 2, WINDOW // 2), mode="reflect")[:, 0].unfold(-1, WINDOW, HOP)[:, :-1]
        decades = (power_spectra(frames * self.window) @ self.filters).clamp(min=FLOOR).log10()
        return ((torch.maximum(decades, decades.amax((1, 2), keepdim=True) - RANGE) + 4) / 4).transpose(1, 2)


class Layer(nn.Module):
    """Pre-norm attention over all frames and feed-forward: [B, F, D] -> [B, F, D]."""

    def __init__(self, shape: WhisperShape):
        super().__init__()
        width = shape.dimension
        self.heads, self.block = shape.heads, shape.block
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.in_proj, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.memory = PaddedConv1d(width, width, shape.memory, groups=width, bias=False) if shape.memory else None
        self.linear1, self.linear2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, turn: Tensor | None, heard: int) -> Tensor:
        x = x + self.attention(self.norm1(x), turn, heard)
        return x + linear(self.linear2, linear(self.linear1, self.norm2(x), "gelu"))

    def attention(self, x: Tensor, turn: Tensor | None, heard: int) -> Tensor:
        """`turn`: rotations of neighbouring pairs of queries and keys at each frame. `heard`: frames that others see, the first ones."""
        qkv = linear(self.in_proj, x)
        parts = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = parts[:2] if turn is None else rotate(parts[:2], turn)
        y = linear(self.out_proj, in_blocks(q, k, parts[2], self.block or q.shape[2], heard).transpose(1, 2).flatten(2))
        if self.memory is None:
            return y
        values = qkv.chunk(3, dim=-1)[2]
        return y + values + self.memory(values.transpose(1, 2)).transpose(1, 2)


class WhisperEncoder(nn.Module):
    """Log-mel spectra [B, mels, N] -> [B, F, D] with F = N over the strides, rounded up at each."""

    def __init__(self, shape: WhisperShape):
        super().__init__()
        self.shape = shape
        width, (first, second) = shape.dimension, shape.strides
        padding = 0 if shape.causal else 1
        self.conv1 = Conv(shape.mels, width, 3, first, padding=padding)
        self.conv2 = Conv(width, width, 3, second, padding=padding)
        if shape.positions:
            self.positions = nn.Parameter(sinusoids(shape.positions, width))
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    def forward(self, x: Tensor, heard: int | None = None) -> Tensor:
        """`heard`: frames of the clip; those after it fill it up and are seen by none (None: all are the clip's)."""
        for conv in (self.conv1, self.conv2):
            x = F.gelu(conv(F.pad(x, (2, 0)) if self.shape.causal else x))
        x = x.transpose(1, 2)
        heard = x.shape[1] if heard is None else heard
        turn, shape = None, self.shape
        if shape.positions:
            x = x + self.positions[: x.shape[1]]
        else:
            turn = rotations(0, x.shape[1], shape.dimension // shape.heads, 10_000.0, x.device)
        for layer in self.layers:
            x = layer(x, turn, heard)
        return x


def in_blocks(q: Tensor, k: Tensor, v: Tensor, block: int, heard: int) -> Tensor:
    """Attention [B, H, F, d] of blocks of queries to the `heard` first keys, as far as the block's own end."""
    pieces = []
    for start in range(0, q.shape[2], block):
        seen = min(start + block, heard)
        pieces.append(F.scaled_dot_product_attention(q[:, :, start : start + block], k[:, :, :seen], v[:, :, :seen]))
    return torch.cat(pieces, dim=2) if len(pieces) > 1 else pieces[0]


def sinusoids(frames: int, width: int) -> Tensor:
    """[frames, width]: sines, then cosines, of positions at rates from 1 down to 1 / 10,000."""
    rates = torch.exp(torch.arange(width // 2) * (-math.log(10_000) / (width // 2 - 1)))
    angles = torch.arange(frames)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
