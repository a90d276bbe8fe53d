"""Weights, sounds and cases of WavTokenizer's parity test, made of integers: the same on every machine, with the authors' code or without.

The authors' code cannot be installed from a registry. So the weights come from this recipe under the authors' names and shapes,
write_wavtokenizer.py gives them to the authors' code and stores what it makes of the sounds in wavtokenizer.json, and the test gives
them to ours. A freshly initialised network maps everything to a few codes: these weights are alive, and so are the sounds.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import torch
from torch import Tensor

STORED = Path(__file__).with_name("wavtokenizer.json")
RATES = {"75": 320, "40": 600}  # frames per second: samples per frame
SEEDS = (0, 1, 2)
WINDOW = "head.istft.window"
BOOK = "feature_extractor.encodec.quantizer.vq.layers.0._codebook."
CASES = ((3, 60_001), (1, 12_345), (1, 333), (1, 1), (2, 9_600))  # clips, samples
HEARD = 60  # samples of a clip that are stored, evenly spread

Shapes = dict[str, list[int]]


def uniform(shape: list[int] | tuple[int, ...], seed: int, name: str) -> Tensor:
    """Values of mean 0 and variance 1, evenly spread, that depend on the seed and the name alone."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
    whole = torch.randint(-(2**15), 2**15, shape, generator=generator, dtype=torch.int32)
    return whole.float() * (3**0.5 / 2**15)


def weight(name: str, shape: list[int], seed: int) -> Tensor:
    """A tensor of the authors' state dict, the codebook's apart."""
    x = uniform(shape, seed, name)
    if name.endswith("weight_v"):
        return x
    if name.endswith("weight_g"):
        return 1.5 + 0.2 * x  # or the latents hardly move, and rounding alone decides between codes
    if name.endswith("gamma"):
        return 0.175 + 0.07 * x  # a layer adds a part: .05 to .3
    if ".lstm.weight" in name:
        return x * (2 / shape[1] ** 0.5)
    quiet = 0.03 if ".dwconv." in name or ".conv1." in name else 1.0  # what a norm follows: its epsilon matters, too
    if "bias" in name or name.endswith("shift.weight"):
        return (0.1 * quiet) * x
    if len(shape) == 1 or name.endswith("scale.weight"):  # of a norm
        return 1 + 0.2 * x
    gain = 1.3 if name == "head.out.weight" else quiet  # so that a few magnitudes are past the loudest that is let through
    return x * (gain / x[0].numel() ** 0.5)


def weights(shapes: Shapes, seed: int, middle: list[float], spread: list[float]) -> dict[str, Tensor]:
    """The whole state dict: its codes lie around `middle`, each coordinate as far from it as `spread` says."""
    state = {name: weight(name, shape, seed) for name, shape in shapes.items() if not name.startswith(BOOK) and name != WINDOW}
    book = torch.tensor(middle) + torch.tensor(spread) * uniform(shapes[f"{BOOK}embed"], seed, f"{BOOK}embed")
    misleading = uniform(shapes[f"{BOOK}embed"], seed, f"{BOOK}embed_avg")  # smoothed sums that nobody may take for the codes
    state |= {f"{BOOK}embed": book, f"{BOOK}embed_avg": misleading, f"{BOOK}inited": torch.ones(1)}
    return state | {f"{BOOK}cluster_size": 2 + uniform(shapes[f"{BOOK}cluster_size"], seed, f"{BOOK}cluster_size")}


def sound(clips: int, samples: int, seed: int) -> Tensor:
    """wav [B, 1, T]: noise whose loudness steps up and down about fifty times a second, another way in every clip."""
    noise = uniform((clips, 1, samples), seed, "noise")
    steps = uniform((clips, 1, samples // 480 + 1), seed, "loudness").abs().repeat_interleave(480, dim=-1)[..., :samples]
    return 0.2 * noise * steps


def heard(wav: Tensor) -> Tensor:
    """The samples of wav [B, 1, T] that are stored: [B, n]."""
    return wav[:, 0, torch.linspace(0, wav.shape[-1] - 1, min(HEARD, wav.shape[-1])).round().long()]


def stored() -> dict:
    """What the authors' code made of it all: see write_wavtokenizer.py."""
    return json.loads(STORED.read_text(encoding="utf-8"))
