"""Samples as codes, without loss: the 32 bits of a float32 sample, read as an unsigned integer, are its code.

wav [B, C, T] float32 <-> codes [B, C, T] int64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from bench.api import Spec

SIZE = 2**32  # codebook size of one float32 sample


def to_codes(wav: Tensor) -> Tensor:
    """wav [B, C, T] float32 -> codes [B, C, T] int64 in 0 .. SIZE - 1."""
    if wav.dtype != torch.float32:
        raise ValueError(f"wav must be float32, got {wav.dtype}")
    return wav.contiguous().view(torch.int32).long() & (SIZE - 1)


def to_wav(codes: Tensor) -> Tensor:
    """The inverse of to_codes, bit for bit (NaN payloads and negative zeros too)."""
    if codes.dtype != torch.int64:
        raise ValueError(f"codes must be int64, got {codes.dtype}")
    signed = torch.where(codes >= SIZE // 2, codes - SIZE, codes)
    return signed.to(torch.int32).view(torch.float32)


class Samples:
    """A tokenizer that loses nothing: one code a sample."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> codes [B, 1, T]."""
        return to_codes(wav)

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, 1, F] -> wav [B, 1, F]."""
        return to_wav(codes)
