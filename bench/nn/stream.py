"""Modules fed piece by piece: a live input cut into whole frames, a long one, or a batch, cut so that it stays in the cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.nn.conv import Memory
from bench.nn.onednn import joined


def in_pieces(module: Callable[[Tensor, Memory | None], Tensor], x: Tensor, size: int, memory: Memory | None = None) -> Tensor:
    """module(x, memory) of a causal module; on a CPU without gradients item by item, at most `size` positions at a time.

    The result is the same, the memory does not grow with the signal, and activations that stay in the cache make it faster. A compiler is
    given the whole: it would write every piece out, and take minutes.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu" or torch.compiler.is_compiling():
        return module(x, memory)
    if len(x) > 1 and memory is None:
        return joined([in_pieces(module, item, size) for item in x.split(1)], dim=0)
    if x.shape[-1] <= size:
        return module(x, memory)
    memory = {} if memory is None else memory
    return joined([module(piece, memory) for piece in x.split(size, dim=-1)])


def few_at_once(function: Callable[[Tensor], Tensor], batch: Tensor, size: int = 1) -> Tensor:
    """function(batch [B, C, n]); on a CPU of one item at a time, or as many as have `size` positions: more fall out of the caches."""
    count = max(1, size // batch.shape[-1])
    if len(batch) <= count or batch.device.type != "cpu" or torch.compiler.is_compiling():
        return function(batch)
    return torch.cat([function(items) for items in batch.split(count)])


class FrameStream:
    """Feeds `step(piece, memory)` with pieces [B, C, n * hop] of an input that comes in any lengths (a Stream of bench.api).

    Its state is the memory, whose size `step` keeps constant, and less than one frame of input. `first`: so many frames the first piece
    has at least. `fill`: at the end a broken frame is filled up with zeros; without it the step gets what is left, however little, and
    pads it as it does offline. `ahead`: so much of what comes next the step sees behind every piece, at the end so many `blank`s.
    """

    def __init__(
        self,
        step: Callable[[Tensor, Memory], Tensor],
        hop: int,
        empty: Tensor,
        first: int = 1,
        fill: bool = True,
        ahead: int = 0,
        blank: int = 0,
    ):
        self.step, self.hop, self.first, self.fill, self.ahead, self.blank = step, hop, first, fill, ahead, blank
        self.empty = empty  # [1, C', 0]: what comes out while no frame is complete
        self.memory: Memory = {}
        self.held: Tensor | None = None

    @torch.inference_mode()
    def feed(self, chunk: Tensor) -> Tensor:
        """The next samples [B, C, n], n >= 0 -> the output of all frames they complete."""
        if chunk.ndim != 3:
            raise ValueError(f"a stream takes [B, C, n], got {tuple(chunk.shape)}")
        held = chunk if self.held is None else torch.cat([self.held, chunk], dim=-1)
        frames = max(0, held.shape[-1] - self.ahead) // self.hop
        ready = self.hop * (frames if self.memory or frames >= self.first else 0)
        self.held = held[..., ready:].clone()
        return self.step(held[..., : ready + self.ahead], self.memory) if ready else self.empty.expand(len(chunk), -1, -1)

    @torch.inference_mode()
    def flush(self) -> Tensor:
        """What is still held: the last frame, if one is begun, or all frames of a short signal."""
        if self.held is None or self.held.shape[-1] == 0:
            return self.empty if self.held is None else self.empty.expand(len(self.held), -1, -1)
        rest, self.held = self.held, self.held[..., :0]
        rest = F.pad(rest, (0, -rest.shape[-1] % self.hop)) if self.fill else rest
        return self.step(F.pad(rest, (0, self.ahead), value=self.blank), self.memory)
