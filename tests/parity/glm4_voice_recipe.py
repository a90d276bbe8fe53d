"""Weights and cases of GLM-4-Voice's parity test, the same on every machine: the authors' code cannot be installed from a registry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from bench.tokenizers.glm4_voice import CONFIGS, Config
from tests.parity.wavtokenizer_recipe import Shapes, uniform, weight

STORED = Path(__file__).with_name("glm4_voice.json")
SMALL = Config(replace(CONFIGS["12.5hz"].encoder, dimension=64, heads=2, layers=3, block=40), size=500)
CASES = (70_001, 12_800, 500_100, 1_279, 1, 321)  # samples: blocks, whole codes, more than 30 s, less than a code
BOOK = "codebook.weight"


def weights(shapes: Shapes, seed: int, middle: list[float], spread: list[float]) -> dict[str, Tensor]:
    """A state dict of the authors' class: its codes lie around `middle`, each coordinate as far from it as `spread` says."""
    state = {name: weight(name, shape, seed) for name, shape in shapes.items()}
    return state | {BOOK: torch.tensor(middle) + torch.tensor(spread) * uniform(shapes[BOOK], seed, BOOK)}
