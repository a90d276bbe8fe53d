"""Floats as side codes: the bits of a number as codes of 16 bits, for what a codec sends as it is (a speaker's vector, a loudness).

In a spec: Codebook(WORD, rate) once for each float16, twice for each float32; rate 0: once an utterance.
"""

from __future__ import annotations

import torch
from torch import Tensor

WORD = 2**16  # the size of the codebook of 16 bits of a number


def floats_to_codes(values: Tensor, dtype: torch.dtype = torch.float16) -> Tensor:
    """values [B, S, N] -> codes [B, S, N] int64 below WORD; of float32 [B, 2 S, N], the lower half of a number first.

    What is beyond the range of the type becomes its largest number.
    """
    largest = torch.finfo(dtype).max
    words = values.detach().clamp(-largest, largest).to(dtype).unsqueeze(-1).contiguous().view(torch.int16)  # little-endian
    return (words.long() % WORD).movedim(-1, 2).flatten(1, 2)


def codes_to_floats(codes: Tensor, dtype: torch.dtype = torch.float16) -> Tensor:
    """The inverse of floats_to_codes: codes -> values [B, S, N] float32. What is no number, as in random codes, becomes 0."""
    words = codes.unflatten(1, (-1, dtype.itemsize // 2)).movedim(2, -1)
    signed = torch.where(words >= WORD // 2, words - WORD, words).to(torch.int16).contiguous()
    return signed.view(dtype).squeeze(-1).float().nan_to_num(0.0, 0.0, 0.0)
