"""Weights, sounds and cases of FACodec's parity test, made of integers: the same on every machine, with the authors' code or without.

As for WavTokenizer (wavtokenizer_recipe.py): the authors' code is in no registry, write_facodec.py stores what it makes of this in
facodec.json, and the test gives the same to ours. "full" is the authors' configuration, "small" has fewer channels.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from tests.parity.wavtokenizer_recipe import Shapes, uniform

STORED = Path(__file__).with_name("facodec.json")
HOP, WIDTH = 200, 256  # samples per frame; of the latents, which the authors' code fixes
SIZES = {"small": (4, 64), "full": (32, 1024)}  # filters of the encoder's first layer, and of the decoder's
SEEDS = {"small": (0, 1), "full": (0,)}
CASES = ((2, 12_001), (1, 6_400), (1, 333), (1, 1))  # clips, samples
PARTS = ("encoder", "decoder")  # the authors' two files
BOOKS = tuple(f"decoder.quantizer.{stream}.layers.{level}._codebook.weight" for stream, n in enumerate((1, 2, 3)) for level in range(n))
HEARD_OF_VOICE = 40  # its first numbers, which are stored


def weight(name: str, shape: list[int], seed: int) -> Tensor:
    """A tensor of the authors' files, its name after that of the file; the codebooks' apart."""
    x = uniform(shape, seed, name)
    if name.endswith(".filter"):
        return 0.08 + 0.04 * x  # not symmetric: a tap in another's place would be heard
    if name.endswith((".alpha", ".beta")):
        return 0.4 * x
    if name.endswith("weight_v"):
        return x
    if name.endswith("weight_g"):
        return (0.3 if shape == [1, 1, 1] else 0.8) * (1 + 0.2 * x)  # the last layer gives audio
    if "bias" in name:
        return 0.1 * x
    return 1 + 0.2 * x if len(shape) == 1 else x / x[0].numel() ** 0.5  # of a norm


def weights(shapes: Shapes, seed: int, middles: list[list[float]], spreads: list[list[float]]) -> dict[str, dict[str, Tensor]]:
    """Both files: codes lie around each codebook's middle, each coordinate as far from it as its spread says."""
    state = {name: weight(name, shape, seed) for name, shape in shapes.items() if name not in BOOKS}
    for name, middle, spread in zip(BOOKS, middles, spreads, strict=True):
        state[name] = torch.tensor(middle) + torch.tensor(spread) * uniform(shapes[name], seed, name)
    return {part: {name.removeprefix(f"{part}."): state[name] for name in state if name.startswith(f"{part}.")} for part in PARTS}


def stored() -> dict:
    """What the authors' code made of it all: see write_facodec.py."""
    return json.loads(STORED.read_text(encoding="utf-8"))
