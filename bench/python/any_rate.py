"""A tokenizer whose encode and decode take audio of any rate, channels and batch, resampled as the harness does."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from bench import registry
from bench.api import Codes, Spec, Tokenizer
from bench.data.audio import resample, to_channels
from bench.plugins import calls


class AnyRate:
    """What `load_tokenizer` gives: spec, encode and decode."""

    def __init__(self, tokenizer: Tokenizer, device: str):
        self.tokenizer, self.device = tokenizer, device
        self._rate = tokenizer.spec.sample_rate or 0

    @property
    def spec(self) -> Spec:
        return self.tokenizer.spec

    @torch.inference_mode()
    def encode(self, wav: Tensor | np.ndarray, sample_rate: int) -> Tensor:
        """wav [T], [C, T] or [B, C, T] in [-1, 1] at `sample_rate` Hz -> codes [B, K, F] int64 on the CPU.

        What is longer than `spec.longest` is coded and decoded in pieces, as the harness does it.
        Of a tokenizer whose spec names side codes: a tuple of these and the side codes [B, S, N], both of which decode takes.
        """
        batch = torch.as_tensor(wav, dtype=torch.float32).cpu()
        if batch.ndim not in (1, 2, 3) or batch.shape[-1] == 0:
            raise ValueError(f"wav must be [T], [C, T] or [B, C, T] with T >= 1, got {list(batch.shape)}")
        batch = batch.reshape(-1, 1 if batch.ndim == 1 else batch.shape[-2], batch.shape[-1])
        self._rate = self.spec.sample_rate or sample_rate
        given = torch.stack([resample(to_channels(one, self.spec.channels), sample_rate, self._rate) for one in batch])
        codes, *side = (part.cpu() for part in calls.encode(self.tokenizer, given.to(self.device)).parts)
        return cast(Tensor, (codes, *side)) if side else codes

    @torch.inference_mode()
    def decode(self, codes: Tensor, side: Tensor | None = None, seed: int = 0) -> tuple[Tensor, int]:
        """codes [B, K, F] -> wav [B, C, T] float32 on the CPU, and its rate in Hz: the tokenizer's, or that of the clip encoded last.

        `side`: the side codes, of a tokenizer whose encode gives them. `seed`: of the noise that a decoder draws (`Spec.sampled`), the
        same for each item; others draw none.
        """
        if not self.spec.decodes:
            raise ValueError(f"{self.spec.label} gives tokens only: there is nothing to decode")
        given = Codes(*(part.to(self.device) for part in Codes(codes, side).parts))
        return calls.decode(self.tokenizer, given, [seed] * len(codes)).float().cpu(), self.spec.output_rate or self._rate


def load_tokenizer(name: str, device: str = "cpu") -> AnyRate:
    """`mimi`, `opus@12kbps`, `kyutai/mimi` or `./my_codec.py`, with its weights. UserError for what is not there."""
    return AnyRate(registry.load_tokenizer(name, device), device)
