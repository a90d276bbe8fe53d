"""Weights and cases of Stable Codec's parity test, the same on every machine: the authors' packages cannot be imported as they are."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bench.nn.taae import Taae
from tests.parity import wavtokenizer_recipe
from tests.parity.wavtokenizer_recipe import Shapes, uniform

STORED = Path(__file__).with_name("stablecodec.json")
SMALL = {snake: Taae(dimension=256, depths=(1, 2), snake=snake) for snake in (False, True)}  # the official numbers but for width and depth
CASES = (("2x15625", 1, 64_000), ("1x46656", 2, 32_001), ("4x729", 1, 6_500))  # stages, clips, samples
ENDS = "encoder.layers.4.", "decoder.layers.4."  # of the two halves


def weight(name: str, shape: list[int], seed: int) -> Tensor:
    """A tensor of the authors' state dict."""
    x = uniform(shape, seed, name)
    if name.endswith("_norm.gamma"):
        return 1 + 0.2 * x
    if name.endswith((".alpha", ".norm.beta", "layers.1.beta", "layers.0.beta", "layers.3.beta", "_norm.beta")):
        return 0.2 * x
    if name.endswith("_scale.scale"):
        return 0.3 + 0.1 * x
    if name == f"{ENDS[1]}weight_g":
        return 0.05 + 0.01 * x
    return wavtokenizer_recipe.weight(name, shape, seed)


def weights(shapes: Shapes, seed: int, around: list[list[float]]) -> dict[str, Tensor]:
    """The whole state dict; `around`: the latents' mean and deviation before, which become 0 and 1."""
    state = {name: weight(name, shape, seed) for name, shape in shapes.items()}
    mean, deviation = torch.tensor(around)
    state[f"{ENDS[0]}weight_g"] /= deviation[:, None, None]
    state[f"{ENDS[0]}bias"] = (state[f"{ENDS[0]}bias"] - mean) / deviation
    return state
