"""w2v-BERT 2.0's encoder (Seamless Communication 2023, arxiv.org/abs/2312.05187), up to a layer and no further.

wav [B, T] at 16 kHz -> 80 log-mel energies, 100 times a second, each brought to mean 0 and variance 1 over its clip -> pairs of frames,
50 a second -> conformer layers: half a feed-forward, attention that knows how far keys are, a causal convolution, half a feed-forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import CausalConv1d
from bench.nn.mfcc import HOP as SHIFT
from bench.nn.mfcc import WINDOW, LogMels
from bench.nn.onednn import linear
from bench.nn.stream import few_at_once
from bench.nn.w2v_bert_names import renamed

HOP = 2 * SHIFT  # samples between frames
SCALE = 2**15  # the energies are those of 16-bit integers
ROWS = 512  # frames that a CPU is given at once, if a clip is shorter: enough to fill a matrix product
SCORES = 1 << 24  # attention scores that are held at once


@dataclass(frozen=True)
class W2vBertShape:
    """An encoder as data. The defaults are the released model, which has 24 layers."""

    dimension: int = 1024
    heads: int = 16
    feedforward: int = 4096
    mels: int = 80
    kernel: int = 31  # of the convolutions
    before: int = 64  # frames, at most, that a key's distance is counted in where it comes before the query
    after: int = 8  # where it comes after

    def encoder(self, layers: int) -> W2vBert:
        """A new encoder up to that layer."""
        return W2vBert(self, layers)

    def named(self, state: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
        """A published state dict under our names, up to that layer."""
        return renamed(state, layers)


class FeedForward(nn.Module):
    """[B, F, D] -> the same, of which a layer adds the half."""

    def __init__(self, shape: W2vBertShape):
        super().__init__()
        self.norm = nn.LayerNorm(shape.dimension)
        self.linear1 = nn.Linear(shape.dimension, shape.feedforward)
        self.linear2 = nn.Linear(shape.feedforward, shape.dimension)

    def forward(self, x: Tensor) -> Tensor:
        return linear(self.linear2, F.silu(linear(self.linear1, self.norm(x)), inplace=not torch.is_grad_enabled()))


class Attention(nn.Module):
    """Self-attention over all frames, [B, F, D] -> the same; a query is drawn to keys by a vector of their distance, too."""

    def __init__(self, shape: W2vBertShape):
        super().__init__()
        self.heads, self.before, self.after = shape.heads, shape.before, shape.after
        self.norm = nn.LayerNorm(shape.dimension)
        self.in_proj = nn.Linear(shape.dimension, 3 * shape.dimension)
        self.out_proj = nn.Linear(shape.dimension, shape.dimension)
        self.distances = nn.Embedding(shape.before + shape.after + 1, shape.dimension // shape.heads)

    def forward(self, x: Tensor, unheard: int = 0) -> Tensor:
        q, k, v = linear(self.in_proj, self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        heard = x.shape[1] - unheard
        k, v = k[:, :, :heard], v[:, :, :heard]
        drawn = (q * q.shape[-1] ** -0.5) @ self.distances.weight.T  # [B, heads, F, distances]
        step, blocks = max(1, SCORES // (len(x) * self.heads * x.shape[1])), []
        for start in range(0, x.shape[1], step):
            rows = slice(start, min(start + step, x.shape[1]))
            blocks.append(F.scaled_dot_product_attention(q[:, :, rows], k, v, self.bias(drawn[:, :, rows], start, heard)))
        return linear(self.out_proj, torch.cat(blocks, dim=2).transpose(1, 2).flatten(2))

    def bias(self, drawn: Tensor, start: int, frames: int) -> Tensor:
        """How much queries from `start` on are drawn to each distance [B, heads, n, distances] -> to each key [B, heads, n, frames]."""
        batch, heads, count, _ = drawn.shape
        first = -(start + count - 1)  # the distance of the first key from the last query
        distance = torch.arange(first, frames - start, device=drawn.device)
        spread = drawn.index_select(-1, distance.clamp(-self.before, self.after) + self.before)  # [B, heads, n, frames + n - 1]
        width = spread.shape[-1]  # a query later, the same key is a distance earlier: rows that are one value shorter line them up
        steps = heads * count * width, count * width, width - 1, 1
        return spread.as_strided((batch, heads, count, frames), steps, count - 1)


class Convolution(nn.Module):
    """[B, F, D] -> the same: gated, convolved over time, channel by channel and causally, normed, activated, mixed."""

    def __init__(self, shape: W2vBertShape):
        super().__init__()
        width = shape.dimension
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.gated = nn.Linear(width, 2 * width, bias=False)
        self.depthwise = CausalConv1d(width, width, shape.kernel, groups=width, bias=False)
        self.mixed = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, unheard: int = 0) -> Tensor:
        y = F.pad(self.norm(x)[:, : x.shape[1] - unheard], (0, 0, 0, unheard))
        y = self.depthwise(F.glu(linear(self.gated, y)).transpose(1, 2)).transpose(1, 2)
        return linear(self.mixed, F.silu(self.norm2(y)))


class Layer(nn.Module):
    """A conformer layer (Gulati et al. 2020, arxiv.org/abs/2005.08100): [B, F, D] -> the same; the last `unheard` frames only listen."""

    def __init__(self, shape: W2vBertShape):
        super().__init__()
        self.ffn1, self.ffn2 = FeedForward(shape), FeedForward(shape)
        self.attention, self.convolution = Attention(shape), Convolution(shape)
        self.norm = nn.LayerNorm(shape.dimension)

    def forward(self, x: Tensor, unheard: int = 0) -> Tensor:
        x = x + self.ffn1(x) / 2
        x = x + self.attention(x, unheard)
        x = x + self.convolution(x, unheard)
        return self.norm(x + self.ffn2(x) / 2)


class W2vBert(nn.Module):
    """wav [B, 1, T] at 16 kHz, any T >= 1 -> features [B, F, D] of layer number `layers`, counted from 1; F = (T - 240) // 320.

    T < 560 is filled up with zeros on the right to one frame of the features. Items of a batch must be equally long. `rounded_up`: energies
    of an odd number give a frame more, made of nothing, which listens and is not heard, as transformers' feature extractor has it.
    """

    def __init__(self, shape: W2vBertShape, layers: int, rounded_up: bool = False):
        super().__init__()
        self.shape, self.rounded_up = shape, rounded_up
        self.energies = LogMels(shape.mels)
        self.projection_norm = nn.LayerNorm(2 * shape.mels)
        self.projection = nn.Linear(2 * shape.mels, shape.dimension)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(layers))

    def forward(self, wav: Tensor) -> Tensor:
        x = F.pad(wav, (0, max(0, WINDOW + SHIFT - wav.shape[-1])))
        return few_at_once(lambda clips: self.states(self.heard(clips[:, 0]), self.unheard(clips.shape[-1])), x, ROWS * HOP)

    def unheard(self, samples: int) -> int:
        """Frames, 0 or 1, at the end of the features of so many samples that are made of nothing."""
        return int(self.rounded_up and samples >= WINDOW + SHIFT and (samples - WINDOW) // SHIFT % 2 == 0)

    def heard(self, wav: Tensor) -> Tensor:
        """wav [B, T], T >= 560 -> normed energies of pairs of frames [B, F, 2 mels]; an odd frame is left out of the pairs alone."""
        energies = self.energies(wav * SCALE)
        normed = (energies - energies.mean(1, keepdim=True)) * (energies.var(1, keepdim=True) + 1e-7).rsqrt()
        return normed[:, : normed.shape[1] // 2 * 2].unflatten(1, (-1, 2)).flatten(2)

    def states(self, pairs: Tensor, unheard: int = 0) -> Tensor:
        """Pairs as `heard` gives them [B, F, 2 mels] -> features [B, F + unheard, D]."""
        x = F.pad(linear(self.projection, self.projection_norm(pairs)), (0, 0, 0, unheard))
        for layer in self.layers:
            x = layer(x, unheard)
        return x
