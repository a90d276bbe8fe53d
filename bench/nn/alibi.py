"""Attention that knows positions by biases: a frame counts less the further behind it is (Press et al. 2022, arxiv.org/abs/2108.12409).

For the transformer of bench.nn.transformer, in place of its rotations. Queries and keys are normed over all heads (RMS).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import Memory
from bench.nn.transformer import Attention, Step, TransformerShape

QUERIES = 256  # that are answered at once, or memory would grow with the square of the frames
NORM = 1e-6  # epsilon of the norms of queries and keys


class AlibiAttention(Attention):
    """Multi-head self-attention over the last `context` positions: [B, F, D] -> [B, F, D]. It knows no streams."""

    slopes: Tensor

    def __init__(self, shape: TransformerShape):
        super().__init__(shape)
        width = shape.heads * shape.head_size
        self.norm_q, self.norm_k = nn.RMSNorm(width, NORM), nn.RMSNorm(width, NORM)
        # the first head's slope is 1, as in Voxtral; the paper's is the second one here
        self.register_buffer("slopes", 2.0 ** (-8 / shape.heads * torch.arange(shape.heads)), persistent=False)

    def forward(self, x: Tensor, turn: Tensor, memory: Memory | None = None, steps: Sequence[Step] = ()) -> Tensor:
        """`turn` is not used."""
        q, k, v = self.in_proj(x).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.norm_q(q), self.norm_k(k), v))
        return self.out_proj(sloped(q, k, v, self.context, self.slopes).transpose(1, 2).flatten(2))


def sloped(q: Tensor, k: Tensor, v: Tensor, context: int, slopes: Tensor) -> Tensor:
    """Attention of a whole signal, [B, H, F, d] each: a key that is n frames behind loses n times the head's slope [H]."""
    pieces = []
    for start in range(0, q.shape[2], QUERIES):
        stop, first = min(start + QUERIES, q.shape[2]), max(0, start - context + 1)
        behind = torch.arange(start, stop, device=q.device)[:, None] - torch.arange(first, stop, device=q.device)
        bias = (-slopes[:, None, None] * behind).masked_fill((behind < 0) | (behind >= context), -torch.inf)
        pieces.append(F.scaled_dot_product_attention(q[:, :, start:stop], k[:, :, first:stop], v[:, :, first:stop], bias))
    return torch.cat(pieces, dim=2)
