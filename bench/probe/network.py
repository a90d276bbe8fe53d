"""The one network of every probe: an input of its own kind, three dilated convolutions over 0.6 s, and a linear answer.

x is [B, T, ...] at 50 frames per second, mask [B, T] False past a clip's end; what is past it changes nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, KERNEL, DILATIONS = 64, 5, (1, 2, 4)
DROPOUT = 0.1  # of features
CODE_DROPOUT = 0.1  # of codes: what a code that was never learned is like, met while learning


class Codes(nn.Module):
    """x [B, T, K, S], numbers of a Vocabulary -> [B, T, WIDTH]: one table a codebook, summed with softmax weights over the codebooks.

    The tables begin at zero, where number 0 stays: a code that was never learned adds nothing.
    """

    def __init__(self, size: int, codebooks: int):
        super().__init__()
        self.table = nn.Embedding(size, WIDTH, padding_idx=0)
        nn.init.zeros_(self.table.weight)
        self.logits = nn.Parameter(torch.zeros(codebooks))

    def weights(self) -> Tensor:
        """[K], their sum 1."""
        return self.logits.softmax(0)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x * (torch.rand(x.shape) >= CODE_DROPOUT)
        shared = (x > 0).sum(-1, keepdim=True).clamp_min(1)  # codes of one codebook in one frame: their mean
        by_codebook = self.table(x).sum(3) / shared
        return torch.einsum("btkd,k->btd", by_codebook, self.weights()) * math.sqrt(len(self.logits))


class Block(nn.Module):
    """[B, T, WIDTH] -> the same, plus what a convolution of its normalised frames finds."""

    def __init__(self, dilation: int):
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.conv = nn.Conv1d(WIDTH, WIDTH, KERNEL, dilation=dilation, padding=dilation * (KERNEL // 2))

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        found = self.conv((self.norm(x) * there).transpose(1, 2)).transpose(1, 2)
        return x + F.dropout(F.gelu(found), DROPOUT, self.training)


class Probe(nn.Module):
    """Logits [B, outputs] of whole clips, or [B, T, outputs] of their frames."""

    def __init__(self, source: nn.Module, outputs: int, framewise: bool):
        super().__init__()
        self.source, self.framewise = source, framewise
        self.blocks = nn.ModuleList(Block(dilation) for dilation in DILATIONS)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, outputs)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        there = mask[:, :, None].float()
        h = F.dropout(self.source(x), DROPOUT, self.training)
        for block in self.blocks:
            h = block(h, there)
        h = self.norm(h)
        return self.head(h if self.framewise else (h * there).sum(1) / there.sum(1))
