"""A tokenizer of toy audio whose codes are known: how loud each half of a frame is."""

import numpy as np
import torch
from torch import Tensor

from bench.api import Codebook, Spec, Variant

RATE, HOP, LEVELS = 8000, 400, 4  # 20 frames a second
SECONDS = 1.03  # 21 frames, the last of them not whole


class Levels:
    """Two codes a frame: how loud its first and its second half are, as `rendered` makes them."""

    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: Tensor) -> Tensor:
        halves = torch.nn.functional.pad(wav[:, 0], (0, -wav.shape[-1] % HOP)).unfold(-1, HOP // 2, HOP // 2).amax(-1)
        return (halves * 8 - 0.5).round().long().clamp(0, LEVELS - 1).unflatten(-1, (-1, 2)).transpose(1, 2)[:, : len(self.spec.codebooks)]

    def decode(self, codes: Tensor) -> Tensor:
        raise AssertionError("the suite has no use for audio")


class Refusing(Levels):
    """Fails on a clip that begins loud."""

    def encode(self, wav: Tensor) -> Tensor:
        if wav[0, 0, 0] > 0.4:
            raise RuntimeError("too loud")
        return super().encode(wav)


def rendered(codes: np.ndarray, seconds: float = SECONDS) -> np.ndarray:
    """Codes [F, 2] as audio of so many seconds."""
    return np.repeat((codes.ravel() + 0.5) / 8, HOP // 2)[: round(seconds * RATE)].astype(np.float32)


def variant(kind: type[Levels] = Levels, columns: int = 2) -> Variant:
    return Variant(Spec(kind.__name__.lower(), "v", RATE, (Codebook(LEVELS, RATE / HOP),) * columns, decodes=False), kind)
