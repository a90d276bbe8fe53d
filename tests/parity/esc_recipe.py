"""Weights and cases of ESC's parity test, the same on every machine: the authors' code cannot be installed from a registry."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bench.tokenizers.esc import Config
from tests.parity.wavtokenizer_recipe import Shapes, uniform, weight

STORED = Path(__file__).with_name("esc.json")
SMALL = Config((12, 18, 24, 36), (3, 6, 12), size=64)
LEVELS = len(SMALL.widths)
CASES = ((1, 16_000, LEVELS), (2, 2_240, LEVELS), (1, 320, LEVELS), (1, 6_400, 2), (1, 6_400, 1))  # clips, samples, levels
Books = dict[str, list[list[float]]]  # name of a codebook -> its middle, and how far its codes are from it, in each coordinate


def book(name: str, shape: list[int], seed: int, facts: list[list[float]]) -> Tensor:
    """A codebook."""
    middle, spread = torch.tensor(facts)
    return middle + spread * uniform(shape, seed, name)


def weights(shapes: Shapes, seed: int, books: Books) -> dict[str, Tensor]:
    """A state dict of the authors' class, without what follows from the configuration."""
    state = {name: weight(name, shape, seed) for name, shape in shapes.items()}
    return state | {name: book(name, shapes[name], seed, facts) for name, facts in books.items()}
