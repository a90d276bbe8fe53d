"""A tokenizer in half precision: torch's autocast around encode and decode, and how many of its codes are still those of float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.api import Clip, Codes, Reconstruction, Spec, Tokenizer, UserError, Variant
from bench.engine.codec_stage import reconstructions
from bench.engine.precision_proof import prove
from bench.plugins import calls
from bench.tokens.codes import agreement

COMPARED = 16  # clips whose codes are compared


class Lowered(nn.Module):
    """The same tokenizer under autocast; it does not stream. Audio comes back as float32."""

    def __init__(self, tokenizer: Tokenizer, spec: Spec, dtype: torch.dtype):
        super().__init__()
        self.tokenizer, self.spec, self.dtype = tokenizer, spec, dtype
        self.proven = False

    def prove(self) -> None:
        """UserError where this processor is not right in that precision; on a CPU, before anything is encoded."""
        if not self.proven:
            prove(self.tokenizer, layers(self.tokenizer), self.dtype)
            self.proven = True

    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, C, T] -> codes [B, K, F], with side codes where the tokenizer gives any."""
        if wav.device.type == "cpu":
            self.prove()
        with torch.autocast(wav.device.type, self.dtype):
            return self.tokenizer.encode(wav)

    def decode(self, codes: Tensor, side: Tensor | None = None, seeds: Sequence[int] = ()) -> Tensor:
        """codes [B, K, F], and side codes where there are any -> wav [B, C, T']."""
        with torch.autocast(codes.device.type, self.dtype):
            return calls.decode(self.tokenizer, Codes(codes, side), seeds).float()


def layers(tokenizer: Tokenizer) -> list[nn.Module]:
    """The modules that a tokenizer is, or holds."""
    if isinstance(tokenizer, nn.Module):
        return [tokenizer]
    return [value for value in getattr(tokenizer, "__dict__", {}).values() if isinstance(value, nn.Module)]


def lowered(variant: Variant, dtype: str) -> Variant:
    """The variant in another precision, a tokenizer of its own: `mimi@mini` becomes `mimi@mini-bfloat16`. Of float32: itself."""
    if dtype == "float32":
        return variant
    spec = replace(variant.spec, variant=f"{variant.spec.variant}-{dtype}")
    return replace(variant, spec=spec, load=partial(_load, variant.load, variant.spec, getattr(torch, dtype)), exact=variant)


def _load(load: Callable[..., Tokenizer], exact: Spec, dtype: torch.dtype, spec: Spec, *paths: Path) -> Lowered:
    tokenizer = load(exact, *paths)
    if not layers(tokenizer):
        raise UserError(f"{exact.label} has no layers of torch, and so no other precision: leave --dtype out")
    return Lowered(tokenizer, spec, dtype)


def same_codes(spec: Spec, load: Callable[[], Tokenizer], exact: Callable[[], Tokenizer], clips: Sequence[Clip], device: str) -> float:
    """Share 0..1 of equal codes over up to COMPARED of the clips, evenly spread; NaN where no clip could be encoded in both precisions."""
    chosen = [clips[i * len(clips) // COMPARED] for i in range(COMPARED)] if len(clips) > COMPARED else clips
    ours, theirs = (
        {item.clip.id: _codes(item) for item in reconstructions(spec, one, chosen, device, decode=False) if not item.failure}
        for one in (load, exact)
    )
    both = [name for name in ours if name in theirs]
    codes = sum(ours[name].numel() for name in both)
    return sum(agreement(ours[name], theirs[name]) * ours[name].numel() for name in both) / codes if codes else math.nan


def _codes(item: Reconstruction) -> Tensor:
    """All of a clip [n], side codes among them."""
    return item.codes.flatten() if item.side is None else torch.cat([item.codes.flatten(), item.side.flatten()])
