"""What every codec refuses before it starts: audio and codes of another shape."""

from __future__ import annotations

import torch
from torch import Tensor


def require_wav(wav: Tensor, channels: int = 1) -> None:
    """ValueError where wav is not [B, channels, T] with T >= 1."""
    if wav.ndim != 3 or wav.shape[1] != channels or wav.shape[2] == 0:
        raise ValueError(f"wav must be [B, {channels}, T] with T >= 1, got {tuple(wav.shape)}")


def require_codes(codes: Tensor, levels: int, least: int = 0) -> None:
    """ValueError where codes are not [B, levels, F] int64 with F >= least."""
    if codes.ndim != 3 or codes.shape[1] != levels or codes.shape[2] < least or codes.dtype != torch.int64:
        more = f" with F >= {least}" * bool(least)
        raise ValueError(f"codes must be [B, {levels}, F] int64{more}, got {tuple(codes.shape)} {codes.dtype}")
