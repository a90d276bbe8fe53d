"""Weights and cases of BiCodec's parity test, made of integers: the same on every machine, with the authors' code or without.

As for WavTokenizer (wavtokenizer_recipe.py): the authors' code is in no registry, write_bicodec.py stores what it makes of this in
bicodec.json, and the test gives the same to ours. Layers and rates are the released model's, and so is ECAPA-TDNN; the rest is narrower.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from bench.nn.hubert import HubertShape
from bench.nn.speaker_codes import SpeakerShape
from bench.tokenizers.bicodec import Config
from tests.parity.wavtokenizer_recipe import Shapes, uniform

STORED = Path(__file__).with_name("bicodec.json")
CASES = ((2, 12_001), (1, 399), (1, 98_000))  # clips, samples
LOUD = (1.0, 0.02, 4.0)  # times a clip's samples: of usual loudness, so quiet that its peak counts, so loud that it must be turned down
SMALL = Config(
    HubertShape(32, 2, 64, 16, conv_norm="layer", conv_bias=True, pre_norm=True, position_kernel=16, position_groups=4),
    width=24,
    hidden=48,
    latents=40,
    size=512,
    speaker=SpeakerShape(summary=16),
    filters=48,
)
BOOK = "quantizer.codebook.weight"
Around = tuple[list[float], list[float]]


def weight(name: str, shape: list[int], seed: int = 0) -> Tensor:
    """A tensor of the file; the codebook apart."""
    x = uniform(shape, seed, name)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    if name.endswith(("alpha", "running_var")) or (len(shape) == 1 and name.endswith("weight")):
        return 1 + 0.2 * x
    if name.endswith("gamma"):
        return 1 + 0.2 * x if "perceiver" in name else 0.3 + 0.1 * x
    if name.endswith(("weight_v", "original1")):
        return x
    if name.endswith(("weight_g", "original0")):
        return (0.1 if name == "decoder.model.6.weight_g" else 0.7) * (1 + 0.2 * x)
    if name.endswith("latents"):
        return x
    quiet = 0.5 if ".to_out." in name or ".fc" in name or "out_proj" in name else 1.0
    return x * (0.1 if len(shape) < 2 else quiet / x[0].numel() ** 0.5)


def weights(shapes: Shapes, around: Around | None) -> dict[str, Tensor]:
    """The whole file: its codes lie around a middle, each coordinate as far from it as stated."""
    state = {name: weight(name, shape) for name, shape in shapes.items() if name != BOOK}
    middle, spread = around or ([0.0] * shapes[BOOK][1], [1.0] * shapes[BOOK][1])
    return state | {BOOK: torch.tensor(middle) + torch.tensor(spread) * uniform(shapes[BOOK], 0, BOOK)}


def stored() -> dict:
    """What the authors' code made of it all: see write_bicodec.py."""
    return json.loads(STORED.read_text(encoding="utf-8"))
