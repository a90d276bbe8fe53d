"""Weights and cases of CPC's parity test, made of integers: the same on every machine, with the authors' code or without.

As for WavTokenizer (wavtokenizer_recipe.py): the authors' code is in no registry, write_cpc.py stores what it makes of this in cpc.json,
and the test gives the same to ours. "full" is CPC-big's size, "small" has fewer channels; both have a layer more than is asked for.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from tests.parity.wavtokenizer_recipe import Shapes, uniform

STORED = Path(__file__).with_name("cpc.json")
SIZES = {"full": 512, "small": 48}  # channels, of the convolutions and of the LSTM
LAYERS = 2  # that are heard, of three
CODES = 50
CASES = ((2, 70_001), (1, 64_000), (1, 16_123), (1, 159), (1, 128_160))  # clips, samples
EVERY = 997  # numbers of the features between two that are stored


def weight(name: str, shape: list[int]) -> Tensor:
    """A tensor of the authors' state dict."""
    x = uniform(shape, 0, name)
    if "bias" in name:
        return 0.2 * x
    if "batchNorm" in name:
        return 1 + 0.3 * x
    return x * ((2 if "baseNet" in name else 1) / x[0].numel() ** 0.5)  # so that the LSTM's gates open and close


def weights(shapes: Shapes) -> dict[str, Tensor]:
    """The state dict."""
    return {name: weight(name, shape) for name, shape in shapes.items()}


def codebook(middle: list[float], spread: list[float]) -> Tensor:
    """Centroids [50, D] around `middle`, each coordinate as far from it as `spread` says."""
    return torch.tensor(middle) + torch.tensor(spread) * uniform((CODES, len(middle)), 0, "codebook")


def chosen(features: Tensor) -> Tensor:
    """Of features [B, F, D] the numbers that are stored."""
    return features.flatten()[::EVERY]


def stored() -> dict:
    """What the authors' code made of it all: see write_cpc.py."""
    return json.loads(STORED.read_text(encoding="utf-8"))
