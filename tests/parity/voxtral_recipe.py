"""Weights and cases of Voxtral's parity test, the same on every machine: the package that has the codec imports nothing without a GPU."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bench.tokenizers.voxtral import Config
from tests.parity.wavtokenizer_recipe import Shapes, uniform, weight

STORED = Path(__file__).with_name("voxtral.json")
SMALL = Config(dimension=64, heads=4, head=16, feedforward=96, size=200, semantic=12, digits=6)
CASES = ((1, 60), (2, 7), (1, 1))  # clips, frames
BOOK = "quantizer.semantic_codebook."


def weights(shapes: Shapes, seed: int, middle: list[float], spread: list[float]) -> dict[str, Tensor]:
    """A state dict of the package's class: its codes lie around `middle`, each coordinate as far from it as `spread` says."""
    state = {}
    for name, shape in shapes.items():
        if name.endswith("original0"):  # lengths of normed weights
            state[name] = 1 + 0.2 * uniform(shape, seed, name)
        elif name.endswith("original1"):
            state[name] = uniform(shape, seed, name)
        else:
            state[name] = weight(name, shape, seed)
    usage = 2 + uniform(shapes[f"{BOOK}cluster_usage"], seed, "usage")
    book = torch.tensor(middle) + torch.tensor(spread) * uniform(shapes[f"{BOOK}embedding_sum"], seed, BOOK)
    return state | {f"{BOOK}cluster_usage": usage, f"{BOOK}embedding_sum": book * usage[:, None]}
