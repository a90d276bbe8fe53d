"""Weights, sounds and cases of BigCodec's parity test, made of integers: the same on every machine, with the authors' code or without.

As for WavTokenizer (wavtokenizer_recipe.py): the authors' code is in no registry, write_bigcodec.py stores what it makes of this in
bigcodec.json, and the test gives the same to ours. "full" is the authors' configuration, "small" has fewer channels.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from tests.parity.wavtokenizer_recipe import Shapes, uniform

STORED = Path(__file__).with_name("bigcodec.json")
HOP = 200
SIZES = {"small": (6, 32, 96, 256), "full": (48, 1024, 1536, 8192)}  # filters, latent dimensions, decoder's filters, codes
SEEDS = {"small": (0, 1, 2), "full": (0,)}
CASES = ((2, 24_001), (1, 12_400), (1, 333), (1, 1))  # clips, samples
PARTS = ("CodecEnc", "generator")  # the authors' names of the encoder, and of the decoder with the quantizer
BOOK = "generator.quantizer.layers.0._codebook.weight"


def weight(name: str, shape: list[int], seed: int) -> Tensor:
    """A tensor of the authors' file, its name after that of its part; the codebook's apart."""
    x = uniform(shape, seed, name)
    if name.endswith(".filter"):
        return 0.08 + 0.04 * x  # not symmetric: a tap in another's place would be heard
    if name.endswith((".alpha", ".beta")):
        return 0.4 * x
    if name.endswith("weight_v"):
        return x
    if name.endswith("weight_g"):
        return (0.3 if shape == [1, 1, 1] else 0.8) * (1 + 0.2 * x)  # the last layer gives audio
    return x * (0.1 if "bias" in name else 1 / x[0].numel() ** 0.5)


def weights(shapes: Shapes, seed: int, middle: list[float], spread: list[float]) -> dict[str, dict[str, Tensor]]:
    """The whole file: its codes lie around `middle`, each coordinate as far from it as `spread` says."""
    book = torch.tensor(middle) + torch.tensor(spread) * uniform(shapes[BOOK], seed, BOOK)
    state = {name: book if name == BOOK else weight(name, shape, seed) for name, shape in shapes.items()}
    return {part: {name.removeprefix(f"{part}."): state[name] for name in state if name.startswith(f"{part}.")} for part in PARTS}


def stored() -> dict:
    """What the authors' code made of it all: see write_bigcodec.py."""
    return json.loads(STORED.read_text(encoding="utf-8"))
