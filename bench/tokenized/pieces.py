"""Tokenizers that are given long audio in pieces of a stated length, as bench/plugins/pieces.py cuts it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from bench import registry
from bench.api import Spec, Tokenizer, UserError, Variant
from bench.data import decoders


def in_pieces(variant: Variant, seconds: float | None) -> Variant:
    """The same variant with no piece longer than that. None: as long as it takes."""
    spec = variant.spec
    if seconds is None or (spec.longest is not None and spec.longest <= seconds):
        return variant
    if not _regular(spec):
        raise UserError(f"{spec.label}: its frames vary in length, so that it cannot be cut into pieces: leave --piece out")
    if seconds < spec.context + 1 / spec.frame_rate:
        raise UserError(f"--piece {seconds:g}: {spec.label} needs more than {spec.context + 1 / spec.frame_rate:g} s")
    return replace(variant, spec=replace(spec, longest=seconds))


WHOLE = replace(decoders.WHOLE, mend="give --piece S, which is for longer files, or split it")


def limits(spec: Spec) -> decoders.Limits:
    """How long a file may be that this tokenizer is to code: a day where it is coded in pieces."""
    if spec.longest is not None:
        return decoders.IN_PIECES
    return WHOLE if _regular(spec) else decoders.WHOLE


def _regular(spec: Spec) -> bool:
    """Whether it is known where its frames lie, so that it can be given pieces."""
    return spec.sample_rate is not None and math.isfinite(spec.frame_rate)


def loader(variant: Variant, device: str) -> Callable[[], Tokenizer]:
    """Makes instances of it."""

    def load() -> Tokenizer:
        tokenizer = registry.load_tokenizer(variant, device)
        if tokenizer.spec.longest != variant.spec.longest:
            raise UserError(f"{variant.spec.label} does not take the spec that its Variant is loaded with: leave --piece out")
        return tokenizer

    return load
