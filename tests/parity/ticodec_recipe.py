"""Weights and cases of TiCodec's parity test, made of integers: the same on every machine, with the authors' code or without.

As for WavTokenizer (wavtokenizer_recipe.py): the authors' code is in no registry, write_ticodec.py stores what it makes of this in
ticodec.json, and the test gives the same to ours. It is the configuration of four codebooks: those of two and of one are its beginning.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from torch import Tensor

from tests.parity.wavtokenizer_recipe import Shapes, uniform

STORED = Path(__file__).with_name("ticodec.json")
HOP = 320
LEVELS = 4
CASES = ((2, 4_801), (1, 1))  # clips, samples
PARTS = ("encoder", "generator", "quantizer")  # the authors' names
Around = dict[str, list[list[float]]]  # a codebook's name -> its middle and its spread
BOOK = re.compile(r"quantizer\.quantizer_modules(_globaltokens)?(\d?)\.(\d+)\.embedding\.weight")


def weight(name: str, shape: list[int]) -> Tensor:
    """A tensor of the authors' file, its name after that of its part; codebooks apart."""
    x = uniform(shape, 0, name)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    if name.endswith(("running_mean", "bias")):
        return 0.1 * x
    if name.endswith("running_var") or len(shape) == 1:  # of a norm
        return 1 + 0.2 * x
    if name.endswith("weight_g"):
        quiet = 0.3 if name == "generator.conv_post.weight_g" else 0.5 if "convs" in name else 1.0
        return quiet * (1 + 0.2 * x)
    return x if name.endswith("weight_v") else 1.5 * x / x[0].numel() ** 0.5


def book(name: str, shape: list[int], around: Around) -> Tensor:
    """A codebook: its codes lie around a middle, each coordinate as far from it as stated."""
    middle, spread = around.get(name, ([0.0] * shape[1], [1.0] * shape[1]))
    return torch.tensor(middle) + torch.tensor(spread) * uniform(shape, 0, name)


def weights(shapes: Shapes, around: Around) -> dict[str, dict[str, Tensor]]:
    """The whole file."""
    state = {name: book(name, shape, around) if BOOK.fullmatch(name) else weight(name, shape) for name, shape in shapes.items()}
    return {part: {name.removeprefix(f"{part}."): state[name] for name in state if name.startswith(f"{part}.")} for part in PARTS}


def stored() -> dict:
    """What the authors' code made of it all: see write_ticodec.py."""
    return json.loads(STORED.read_text(encoding="utf-8"))
