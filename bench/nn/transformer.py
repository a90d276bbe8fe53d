"""Causal transformer over latents [B, D, F] that sees a limited past and runs offline or piece by piece.

Position f attends to the `context` positions up to and including itself. Rotary embedding (Su et al. 2021, arxiv.org/abs/2104.09864)
turns neighbouring pairs (0, 1), (2, 3), ... of each head. In a stream keys and values live in a ring of constant size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import Memory
from bench.nn.onednn import Linear

STEP = 32  # frames of a stream that are written at once


@dataclass(frozen=True)
class TransformerShape:
    """A transformer as data; `layers` = 0 is the identity."""

    dimension: int = 512
    layers: int = 8
    heads: int = 8
    feedforward: int = 2048
    context: int = 250
    layer_scale: float = 0.01
    max_period: float = 10_000.0
    head: int = 0  # values of a head; 0: the heads share the dimension
    gated: bool = False  # norms keep the mean (RMS), and a gate multiplies the feed-forward, as in language models
    epsilon: float = 1e-5  # of the norms

    @property
    def head_size(self) -> int:
        """Values of a head."""
        return self.head or self.dimension // self.heads


def rotations(start: int, frames: int, size: int, max_period: float, device: torch.device) -> Tensor:
    """Unit complex numbers [frames, size / 2] that turn each pair of a head at positions start, start + 1, ..."""
    # in float32: released weights were trained with it, and float64 differs visibly after some thousand frames
    rates = torch.exp(torch.arange(size // 2, device=device, dtype=torch.float32) * (-math.log(max_period) * 2 / size))
    angles = torch.arange(start, start + frames, device=device, dtype=torch.float32)[:, None] * rates
    return torch.complex(angles.cos(), angles.sin())


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """x [B, H, F, d] turned by `turn` [F, d / 2]."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)


def banded(q: Tensor, k: Tensor, v: Tensor, context: int) -> Tensor:
    """Attention of a whole signal, [B, H, F, d] each, in blocks of queries: memory grows with F, not with F squared."""
    frames = q.shape[2]
    if frames <= context:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    blocks = []
    for start in range(0, frames, context):
        stop, first = min(start + context, frames), max(0, start - context + 1)
        behind = torch.arange(start, stop, device=q.device)[:, None] - torch.arange(first, stop, device=q.device)
        mask = (behind >= 0) & (behind < context)
        blocks.append(F.scaled_dot_product_attention(q[:, :, start:stop], k[:, :, first:stop], v[:, :, first:stop], mask))
    return torch.cat(blocks, dim=2)


@dataclass(frozen=True)
class Step:
    """Frames of a stream that are written and heard at once, n <= STEP."""

    slots: Tensor  # [n] of the ring, where their keys and values go
    barred: Tensor  # [n, slots in use] to add to the scores: 0, or minus infinity where a slot is later or out of the context


def ring_size(context: int) -> int:
    """Slots of a ring: no key may be lost before the last frame of its step has used it."""
    return context + STEP - 1


class Attention(nn.Module):
    """Multi-head self-attention over the last `context` positions: [B, F, D] -> [B, F, D]."""

    def __init__(self, shape: TransformerShape):
        super().__init__()
        if not shape.head and shape.dimension % (2 * shape.heads):
            raise ValueError(f"the dimension must be an even multiple of the heads, got {shape.dimension} and {shape.heads}")
        self.heads, self.context = shape.heads, shape.context
        width = shape.heads * shape.head_size
        self.in_proj = Linear(shape.dimension, 3 * width, bias=False)
        self.out_proj = Linear(width, shape.dimension, bias=False)

    def forward(self, x: Tensor, turn: Tensor, memory: Memory | None = None, steps: Sequence[Step] = ()) -> Tensor:
        """`steps`: of a stream, with its memory."""
        qkv = self.in_proj(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        (q, k), v = rotate(qkv[:2], turn), qkv[2]
        y = banded(q, k, v, self.context) if memory is None else self.streamed(q, k, v, memory, steps)
        return self.out_proj(y.transpose(1, 2).flatten(2))

    def streamed(self, q: Tensor, k: Tensor, v: Tensor, memory: Memory, steps: Sequence[Step]) -> Tensor:
        """Attention of the next frames [B, H, F, d] of a stream; the ring in memory is written in place."""
        if self not in memory:
            rows, slots, size = len(k) * self.heads, ring_size(self.context), k.shape[-1]
            memory[self] = (k.new_zeros(rows, size, slots), v.new_zeros(rows, slots, size))  # as the two products read them
        (keys, values), pieces = memory[self], []
        parts = (x.flatten(0, 1).split(STEP, 1) for x in (q, k, v))
        for step, asked, key, value in zip(steps, *parts, strict=True):
            keys.index_copy_(2, step.slots, key.transpose(1, 2))
            values.index_copy_(1, step.slots, value)
            # a few queries: two products and a softmax take half of the time of torch's fused attention
            used = step.barred.shape[1]
            weights = torch.baddbmm(step.barred, asked, keys[:, :, :used], alpha=q.shape[-1] ** -0.5).softmax(-1)
            pieces.append(torch.bmm(weights, values[:, :used]))
        return torch.cat(pieces, dim=1).unflatten(0, (-1, self.heads))


class Layer(nn.Module):
    """Pre-norm attention and feed-forward, each added through a learnt scale a channel (Touvron et al. 2021, arxiv.org/abs/2103.17239)."""

    def __init__(self, shape: TransformerShape, attention: type[Attention] = Attention):
        super().__init__()
        norm = nn.RMSNorm if shape.gated else nn.LayerNorm
        self.norm1, self.norm2 = norm(shape.dimension, shape.epsilon), norm(shape.dimension, shape.epsilon)
        self.attention = attention(shape)
        self.linear1 = Linear(shape.dimension, shape.feedforward, bias=False)
        self.linear2 = Linear(shape.feedforward, shape.dimension, bias=False)
        self.gate = Linear(shape.dimension, shape.feedforward, bias=False) if shape.gated else None
        self.scale1 = nn.Parameter(torch.full((shape.dimension,), shape.layer_scale))
        self.scale2 = nn.Parameter(torch.full((shape.dimension,), shape.layer_scale))

    def forward(self, x: Tensor, turn: Tensor, memory: Memory | None = None, steps: Sequence[Step] = ()) -> Tensor:
        x = torch.addcmul(x, self.scale1, self.attention(self.norm1(x), turn, memory, steps))
        return torch.addcmul(x, self.scale2, self.linear2(self.hidden(self.norm2(x))))

    def hidden(self, x: Tensor) -> Tensor:
        """Of the feed-forward: GELU of a product, or a product times SiLU of another one (Shazeer 2020, arxiv.org/abs/2002.05202)."""
        return self.linear1(x, "gelu") if self.gate is None else self.linear1(x) * F.silu(self.gate(x))


class Transformer(nn.Module):
    """Latents [B, D, F] -> [B, D, F]. `attention`: a kind that knows positions in another way."""

    def __init__(self, shape: TransformerShape, attention: type[Attention] = Attention):
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleList(Layer(shape, attention) for _ in range(shape.layers))

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        if not self.layers or not x.shape[-1]:
            return x
        shape, frames = self.shape, x.shape[-1]
        start, steps = (0, []) if memory is None else self.steps(frames, x.device, memory)
        turn = rotations(start, frames, shape.head_size, shape.max_period, x.device)
        x = x.transpose(1, 2)
        for layer in self.layers:
            x = layer(x, turn, memory, steps)
        return x.transpose(1, 2)

    def steps(self, frames: int, device: torch.device, memory: Memory) -> tuple[int, list[Step]]:
        """The position of the next frame of a stream, and the steps that all layers take with the next `frames`."""
        size = ring_size(self.shape.context)
        nothing = torch.full((size,), -1, device=device), torch.zeros((), dtype=torch.int64)
        positions, clock = memory.setdefault(self, nothing)  # of the key in each slot
        first, steps = int(clock), []
        end = first
        for now in torch.arange(first, first + frames, device=device).split(STEP):
            slots = now % size
            positions[slots] = now
            end += len(now)
            behind = now[:, None] - positions[:end]
            heard = (behind >= 0) & (behind < self.shape.context)
            steps.append(Step(slots, torch.zeros(heard.shape, device=device).masked_fill_(~heard, -math.inf)))
        clock += frames
        return first, steps
