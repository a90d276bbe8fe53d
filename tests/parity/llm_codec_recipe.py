"""Weights and cases of LLM-Codec's parity test, the same on every machine: the authors' code cannot be installed from a registry."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bench.nn.snac import SnacConfig
from bench.nn.snac_layers import SnacNet
from tests.parity import wavtokenizer_recipe
from tests.parity.wavtokenizer_recipe import Shapes, uniform

STORED = Path(__file__).with_name("llm_codec.json")
LAST = "decoder.model.8."  # before the hyperbolic tangent
EMBEDDING = 24  # numbers of an embedding of the language model; LLaMA's have 4,096
NET = SnacNet((3, 4, 5, 8), filters=8, decoder_filters=128, window=8)
SMALL = SnacConfig(16_000, NET, (4, 2, 1), dimension=0, sizes=(60, 150, 150))
CASES = ((1, 48_000), (2, 9_001), (1, 1))  # clips, samples
Facts = dict[str, list[list[float]]]  # level -> the middle of what reaches it, and how far it is from there, in each coordinate


def table(level: int, seed: int) -> Tensor:
    """The embeddings that a level's codes stand for; the two faster levels share theirs."""
    return uniform((SMALL.sizes[level], EMBEDDING), seed, "words" if level == 0 else "subwords")


def weight(name: str, shape: list[int], seed: int) -> Tensor:
    """A tensor of the authors' state dict, the quantizer's apart."""
    x = uniform(shape, seed, name)
    if name.endswith("alpha"):
        return 0.8 + 0.2 * x
    if name == f"{LAST}weight_g":
        return 0.1 + 0.01 * x
    if name.endswith("weight_g"):
        return 1 + 0.15 * x if name.startswith("encoder") else 0.6 + 0.1 * x  # the decoder must not saturate its hyperbolic tangent
    return wavtokenizer_recipe.weight(name, shape, seed)


def projection(level: int, seed: int, facts: list[list[float]]) -> tuple[Tensor, Tensor]:
    """Weight and bias of a level's linear layer, which puts its codes around the middle."""
    middle, spread = torch.tensor(facts)
    return spread[:, None] * uniform((len(middle), EMBEDDING), seed, f"projection {level}") / EMBEDDING**0.5, middle


def weights(shapes: Shapes, seed: int, facts: Facts) -> dict[str, Tensor]:
    """The whole state dict."""
    state = {name: weight(name, shape, seed) for name, shape in shapes.items() if not name.startswith("quantizer.")}
    for level, around in facts.items():
        stem = f"quantizer.quantizers.{level}"
        state[f"{stem}.cb_proj.weight"], state[f"{stem}.cb_proj.bias"] = projection(int(level), seed, around)
        state[f"{stem}.codebook.weight"] = table(int(level), seed)
    return state
