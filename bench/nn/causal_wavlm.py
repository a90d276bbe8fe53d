"""WavLM's encoder made to stream, as FocalCodec-Stream has it (Della Libera et al. 2025, arxiv.org/abs/2509.16195): wav -> [B, F, D].

Its weights have Hubert's names. Convolutions hear the past alone, and of it, in the beginning, the first value again and again: frame f
hears samples up to 320 f, so T samples give ceil(T / 320) frames. A frame attends to its whole chunk and to what comes before it, `window`
frames in all. A stream is fed whole chunks, but for the last.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import Memory
from bench.nn.hubert import HOP, PIECE, ROWS, Attention, Convolutions, Hubert, HubertShape, Layer, bucket, gelu_
from bench.nn.onednn import joined, linear
from bench.nn.stream import few_at_once, in_pieces

BLOCK = 64  # chunks of frames that attend at once


def continued(layer: nn.Module, x: Tensor, past: int, memory: Memory | None) -> Tensor:
    """x [B, C, n] after the `past` values before it, which in the beginning are the first again and again."""
    kept = memory.get(layer) if memory is not None else None
    x = joined([kept[0] if kept is not None else x[..., :1].expand(-1, -1, past), x])
    if memory is not None:
        memory[layer] = (x[..., -past:].clone(),)
    return x


class CausalConvolutions(Convolutions):
    """wav [B, 1, T] -> [B, channels, ceil(T / 320)]; a piece of a stream is whole hops long, but for the last."""

    def forward(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        return in_pieces(self.step, wav, PIECE * HOP, memory)

    def step(self, x: Tensor, memory: Memory | None) -> Tensor:
        """The next piece."""
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, nn.Conv1d)
            x = gelu_(self.normed(continued(layer, x, layer.kernel_size[0] - 1, memory), index))
        return x


class ChunkedAttention(Attention):
    """Self-attention to a chunk and its past, [B, F, D] -> the same; `bias` [heads, 2 window] is that of Hubert by distance -window ..."""

    def __init__(self, shape: HubertShape, chunk: int, window: int):
        super().__init__(shape)
        self.chunk, self.window = chunk, window

    def forward(self, x: Tensor, bias: Tensor | None, memory: Memory | None = None) -> Tensor:
        assert bias is not None
        q, k, v = linear(self.in_proj, x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        past = 0
        if memory is not None and self in memory:
            before = memory[self]
            past, k, v = before[0].shape[2], torch.cat([before[0], k], dim=2), torch.cat([before[1], v], dim=2)
        if memory is not None:
            memory[self] = k[:, :, 1 - self.window :].clone(), v[:, :, 1 - self.window :].clone()
        gate = self.gates(x)
        step, blocks = BLOCK * self.chunk, []
        for start in range(0, x.shape[1], step):
            queries = torch.arange(start, min(start + step, x.shape[1]), device=x.device)
            ends = ((queries // self.chunk + 1) * self.chunk).clamp(max=x.shape[1]) + past
            first, last = max(0, int(ends[0]) - self.window), int(ends[-1])
            keys = torch.arange(first, last, device=x.device)
            distance = (keys - (queries[:, None] + past) + self.window).clamp(0, 2 * self.window - 1)  # what is farther goes unheard
            drawn = bias[:, distance] * gate[:, :, start : start + step]
            heard = (keys < ends[:, None]) & (keys >= ends[:, None] - self.window)
            scores = drawn.masked_fill(~heard, -torch.inf)
            blocks.append(F.scaled_dot_product_attention(q[:, :, start : start + step], k[:, :, first:last], v[:, :, first:last], scores))
        return linear(self.out_proj, torch.cat(blocks, dim=2).transpose(1, 2).flatten(2))


class ChunkedLayer(Layer):
    """A layer of WavLM with such an attention."""

    def __init__(self, shape: HubertShape, chunk: int, window: int):
        super().__init__(shape)
        self.attention = ChunkedAttention(shape, chunk, window)

    def forward(self, x: Tensor, bias: Tensor | None, memory: Memory | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x), bias, memory)
        return x + self.feedforward(self.norm2(x))


class CausalWavLM(Hubert):
    """wav [B, 1, T] at 16 kHz, any T >= 1 -> features [B, ceil(T / 320), D] of layer number `layers`."""

    def __init__(self, shape: HubertShape, layers: int, chunk: int, window: int):
        if not (shape.pre_norm and shape.conv_norm == "layer" and shape.buckets and window > chunk):
            raise ValueError("a streaming encoder has layer norms before its layers, biases by distance and a window longer than a chunk")
        super().__init__(shape, 0)
        self.window = window
        self.convolutions = CausalConvolutions(shape)
        self.layers = nn.ModuleList(ChunkedLayer(shape, chunk, window) for _ in range(layers))

    def forward(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        if memory is not None:
            return self.step(wav, memory)
        return few_at_once(lambda clips: self.step(clips, None), wav, ROWS * HOP)

    def step(self, wav: Tensor, memory: Memory | None) -> Tensor:
        """The next piece."""
        assert isinstance(self.convolutions, CausalConvolutions)
        heard = self.convolutions(wav, memory).transpose(1, 2)
        x = linear(self.projection, self.projection_norm(heard))
        placed = continued(self.positions, x.transpose(1, 2), self.shape.position_kernel - 1, memory)
        around = F.conv1d(placed, self.positions.weight, self.positions.bias, groups=self.shape.position_groups)
        x = x + gelu_(around).transpose(1, 2)
        distance = torch.arange(-self.window, self.window, device=x.device)
        bias = self.distances(bucket(distance, self.shape.buckets, self.shape.max_distance)).T.contiguous()
        for layer in self.layers:
            x = layer(x, bias, memory)
        return x
