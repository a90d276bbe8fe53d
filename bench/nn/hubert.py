"""The wav2vec 2.0 / HuBERT / WavLM encoder: raw audio -> 50 feature vectors a second, up to a chosen layer and no further.

wav [B, T] at 16 kHz -> seven strided convolutions -> [B, F, D] -> plus a convolution over positions -> transformer layers. Frame f hears
samples 320 f .. 320 f + 399, so T >= 400 gives F = (T - 80) // 320. The features of layer n are what leaves the n-th layer, counted from
1, before any norm that a whole network has after its last. Papers: wav2vec 2.0 arxiv.org/abs/2006.11477, HuBERT arxiv.org/abs/2106.07447,
WavLM arxiv.org/abs/2110.13900.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.hubert_names import renamed
from bench.nn.onednn import linear
from bench.weights.files import fold_weight_norm

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
HOP, WINDOW = 320, 400  # samples between frames, samples that a frame hears
PIECE = 100  # frames that a CPU convolves at once: the widest layer of two seconds fits its caches, that of a clip does not
ROWS = 512  # frames that a CPU gives to the transformer at once, if a clip is shorter: enough to fill a matrix product
SCORES = 1 << 24  # attention scores with a bias of their own that are held at once


@dataclass(frozen=True)
class HubertShape:
    """An encoder as data. The defaults are the base models of wav2vec 2.0 and HuBERT."""

    dimension: int = 768
    heads: int = 12
    feedforward: int = 3072
    channels: int = 512  # of the convolutions over the waveform
    conv_norm: Literal["group", "layer"] = "group"  # "group": each channel over time, after the first only; "layer": each frame, always
    conv_bias: bool = False
    pre_norm: bool = False
    normalized: bool = False  # the clip is brought to zero mean and unit variance first
    position_kernel: int = 128
    position_groups: int = 16
    buckets: int = 0  # of distances, for WavLM's gated position bias; 0: none
    max_distance: int = 800  # frames; what is farther shares a bucket

    def encoder(self, layers: int) -> Hubert:
        """A new encoder up to that layer."""
        return Hubert(self, layers)

    def named(self, state: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
        """A published state dict under our names, up to that layer."""
        return renamed(fold_weight_norm(state), layers, self.pre_norm)


class Convolutions(nn.Module):
    """wav [B, T], T >= 400 -> [B, F, channels]."""

    def __init__(self, shape: HubertShape):
        super().__init__()
        self.shape = shape
        inputs = (1,) + (shape.channels,) * (len(KERNELS) - 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(i, shape.channels, kernel, stride, bias=shape.conv_bias)
            for i, kernel, stride in zip(inputs, KERNELS, STRIDES, strict=True)
        )
        norms = len(KERNELS) if shape.conv_norm == "layer" else 1
        self.norms = nn.ModuleList(nn.LayerNorm(shape.channels) for _ in range(norms))  # a channel's scale and shift, whatever the norm

    def forward(self, wav: Tensor) -> Tensor:
        frames = (wav.shape[-1] - WINDOW) // HOP + 1
        first = self.first(wav) if self.shape.conv_norm == "group" else None
        step = PIECE if wav.device.type == "cpu" else frames
        pieces = [self.piece(wav[:, HOP * a : HOP * (min(a + step, frames) - 1) + WINDOW], first) for a in range(0, frames, step)]
        return torch.cat(pieces, dim=-1).transpose(1, 2)

    def piece(self, wav: Tensor, first: tuple[Tensor, Tensor] | None) -> Tensor:
        """wav [B, n] -> [B, channels, m]; no layer pads, so the pieces of a signal join without a seam."""
        if first is not None:
            weight, bias = first
            # one matrix product a clip: windows [B, m, 10] x [B, 10, channels]
            x = torch.baddbmm(bias[:, :, None], weight, wav.unfold(-1, KERNELS[0], STRIDES[0]).transpose(1, 2))
        else:
            x = self.normed(wav[:, None], 0)
        x = gelu_(x)
        for index in range(1, len(self.layers)):
            x = gelu_(self.normed(x, index))
        return x

    def normed(self, x: Tensor, index: int) -> Tensor:
        """Layer `index` without its activation."""
        x = self.layers[index](x)
        return self.norms[index](x.transpose(1, 2)).transpose(1, 2) if self.shape.conv_norm == "layer" else x

    def first(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """The first convolution of each clip with its norm over time folded in: weight [B, channels, 10], bias [B, channels].

        A channel is a product of the windows with its taps, so its mean and variance follow from those of the ten window positions.
        """
        conv, norm = self.layers[0], self.norms[0]
        assert isinstance(conv, nn.Conv1d) and isinstance(norm, nn.LayerNorm)
        windows = wav.double().unfold(-1, KERNELS[0], STRIDES[0])
        mean = windows.mean(1, keepdim=True)
        centred = windows - mean
        covariance = centred.transpose(1, 2) @ centred / windows.shape[1]
        taps = conv.weight[:, 0].double()
        variance = torch.einsum("ci,bij,cj->bc", taps, covariance, taps)
        scale = norm.weight / (variance.clamp(min=0) + norm.eps).sqrt()
        bias = norm.bias - scale * (mean @ taps.T)[:, 0]  # a bias of the convolution would vanish with the mean
        return (scale[:, :, None] * taps).to(wav.dtype), bias.to(wav.dtype)


def gelu_(x: Tensor) -> Tensor:
    """GELU that writes over its input where no gradient needs it."""
    return F.gelu(x) if torch.is_grad_enabled() else torch.ops.aten.gelu_(x)


class Attention(nn.Module):
    """Multi-head self-attention over all frames: [B, F, D] -> [B, F, D]."""

    def __init__(self, shape: HubertShape):
        super().__init__()
        self.heads = shape.heads
        self.in_proj = nn.Linear(shape.dimension, 3 * shape.dimension)
        self.out_proj = nn.Linear(shape.dimension, shape.dimension)
        if shape.buckets:
            self.gate = nn.Linear(shape.dimension // shape.heads, 8)
            self.gate_scale = nn.Parameter(torch.ones(1, shape.heads, 1, 1))

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        q, k, v = linear(self.in_proj, x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v) if bias is None else self.biased(x, q, k, v, bias)
        return linear(self.out_proj, y.transpose(1, 2).flatten(2))

    def biased(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """Attention with bias [heads, 2 F - 1] by distance, which each query's gate makes larger or smaller; in blocks of queries."""
        batch, heads, frames, _ = q.shape
        gate = self.gates(x)
        by_query = bias.unfold(-1, frames, 1)  # [heads, F, F], a view; the last query comes first
        step = max(1, SCORES // (batch * heads * frames))
        blocks = []
        for start in range(0, frames, step):
            stop = min(start + step, frames)
            here = by_query[:, frames - stop : frames - start].flip(1)
            blocks.append(F.scaled_dot_product_attention(q[:, :, start:stop], k, v, gate[:, :, start:stop] * here))
        return torch.cat(blocks, dim=2)

    def gates(self, x: Tensor) -> Tensor:
        """Frames [B, F, D] -> by how much each query makes the bias larger or smaller [B, heads, F, 1]."""
        inputs = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        a, b = self.gate(inputs).unflatten(-1, (2, 4)).sum(-1, keepdim=True).sigmoid().unbind(-2)
        return a * (b * self.gate_scale - 1) + 2


class Layer(nn.Module):
    """Attention and feed-forward, each added to its input and normalised after (base models) or before (large ones)."""

    def __init__(self, shape: HubertShape):
        super().__init__()
        self.pre_norm = shape.pre_norm
        self.attention = Attention(shape)
        self.norm1, self.norm2 = nn.LayerNorm(shape.dimension), nn.LayerNorm(shape.dimension)
        self.linear1 = nn.Linear(shape.dimension, shape.feedforward)
        self.linear2 = nn.Linear(shape.feedforward, shape.dimension)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if self.pre_norm:
            x = x + self.attention(self.norm1(x), bias)
            return x + self.feedforward(self.norm2(x))
        x = self.norm1(x + self.attention(x, bias))
        return self.norm2(x + self.feedforward(x))

    def feedforward(self, x: Tensor) -> Tensor:
        """[B, F, D] -> [B, F, D]"""
        return linear(self.linear2, linear(self.linear1, x, "gelu"))


class Hubert(nn.Module):
    """wav [B, 1, T] at 16 kHz, any T >= 1 -> features [B, F, D] of layer number `layers`.

    T < 400 is filled up with zeros on the right to one frame; longer input is never padded, and its last T - 80 mod 320 samples go unheard.
    """

    def __init__(self, shape: HubertShape, layers: int):
        super().__init__()
        self.shape = shape
        self.convolutions = Convolutions(shape)
        self.projection_norm = nn.LayerNorm(shape.channels)
        self.projection = nn.Linear(shape.channels, shape.dimension)
        kernel = shape.position_kernel
        self.positions = nn.Conv1d(shape.dimension, shape.dimension, kernel, padding=kernel // 2, groups=shape.position_groups)
        if not shape.pre_norm:
            self.norm = nn.LayerNorm(shape.dimension)
        if shape.buckets:
            self.distances = nn.Embedding(shape.buckets, shape.heads)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(layers))

    def forward(self, wav: Tensor) -> Tensor:
        x = F.pad(wav[:, 0], (0, max(0, WINDOW - wav.shape[-1])))
        together = max(1, ROWS * HOP // x.shape[-1]) if x.device.type == "cpu" else len(x)  # more fall out of a CPU's caches
        return torch.cat([self.clips(clips) for clips in x.split(together)])

    def clips(self, x: Tensor) -> Tensor:
        """wav [B, T], T >= 400 -> [B, F, D]."""
        x = self.heard(x)
        for state in self.states(x):
            x = state
        return x

    def heard(self, x: Tensor) -> Tensor:
        """wav [B, T], T >= 400 -> [B, F, D]: each frame by itself, before it knows of its neighbours."""
        if self.shape.normalized:
            x = F.layer_norm(x, x.shape[-1:])
        return linear(self.projection, self.projection_norm(self.convolutions(x)))

    def placed(self, x: Tensor) -> Tensor:
        """Frames as `heard` gives them [B, F, D] -> what the first layer is given: each frame knows where it is."""
        x = x + gelu_(self.positions(x.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)  # an even kernel gives one frame too many
        return x if self.shape.pre_norm else self.norm(x)

    def states(self, x: Tensor) -> Iterator[Tensor]:
        """Frames as `heard` gives them [B, F, D] -> what leaves each layer, the same shape."""
        x = self.placed(x)
        bias = self.bias(x.shape[1]) if self.shape.buckets else None
        for layer in self.layers:
            x = layer(x, bias)
            yield x

    def bias(self, frames: int) -> Tensor:
        """[heads, 2 F - 1]: how much a query is drawn to the frame at distance 1 - F .. F - 1 from it."""
        distance = torch.arange(1 - frames, frames, device=self.distances.weight.device)
        return self.distances(bucket(distance, self.shape.buckets, self.shape.max_distance)).T.contiguous()


def bucket(distance: Tensor, buckets: int, max_distance: int) -> Tensor:
    """Distances -> buckets: half for each sign; of those, half hold one distance and half a range that grows like its logarithm."""
    half = buckets // 2
    exact = half // 2
    size = distance.abs()
    grown = torch.log(size.clamp(min=1).float() / exact) / math.log(max_distance / exact) * (half - exact)
    return (distance > 0) * half + torch.where(size < exact, size, (exact + grown).long().clamp(max=half - 1))
