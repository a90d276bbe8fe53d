"""Weights and cases of vq-wav2vec's parity test, made of integers: the same on every machine, with the authors' code or without.

As for WavTokenizer (wavtokenizer_recipe.py): fairseq is not installed here, write_vq_wav2vec.py stores what its classes make of this in
vq_wav2vec.json, and the test gives the same to ours. "full" is the authors' configuration, "small" has fewer channels, and "odd" the
options of fairseq's that the command of its README leaves alone.
"""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import torch
from torch import Tensor

from tests.parity.wavtokenizer_recipe import Shapes, uniform

STORED = Path(__file__).with_name("vq_wav2vec.json")
SIZES = {"full": (512, 320), "small": (32, 64), "odd": (32, 64)}  # channels, codes of a group
KINDS = ("gumbel", "kmeans")
CASES = ((2, 32_100), (1, 4_000), (1, 465))  # clips, samples
UNUSED = ("feature_aggregator", "wav2vec_predictions", "vector_quantizer.vars")
LOGITS, BOOK = "vector_quantizer.weight_proj.1", "vector_quantizer.embedding"
KERNELS, STRIDES = (10, 8, 4, 4, 4, 1, 1, 1), (5, 4, 2, 2, 2, 1, 1, 1)


def options(size: str, kind: str) -> Namespace:
    """The training options that a checkpoint holds, by README's command; the paper's aggregator is cut, as no code depends on it."""
    channels, codes = SIZES[size]
    odd = size == "odd"
    return Namespace(
        arch="wav2vec",
        activation="relu" if odd else "gelu",
        conv_feature_layers=str([(channels, kernel, stride) for kernel, stride in zip(KERNELS, STRIDES, strict=True)]),
        conv_aggregator_layers=str([(channels, 2, 1), (channels, 3, 1)]),
        skip_connections_feat=odd,
        skip_connections_agg=True,
        residual_scale=0.7 if odd else 0.5,
        log_compression=odd,
        vq_type=kind,
        vq_vars=codes,
        vq_groups=2,
        vq_depth=2,
        combine_groups=True,
        vq_temp=(2, 0.5, 0.999995),
    )


def weight(name: str, shape: list[int]) -> Tensor:
    """A tensor of fairseq's model, the last ones before the codes apart."""
    if name.startswith(UNUSED):
        return torch.zeros(shape)
    x = uniform(shape, 0, name)
    if name.endswith("bias"):
        return 0.2 * x
    return 1 + 0.3 * x if len(shape) == 1 else x / x[0].numel() ** 0.5


def weights(shapes: Shapes, middle: list[float], spread: list[float]) -> dict[str, Tensor]:
    """The whole state dict: its codes lie around `middle`, of logits or of vectors, each coordinate as far from it as `spread` says."""
    state = {name: weight(name, shape) for name, shape in shapes.items()}
    around, apart = torch.tensor(middle), torch.tensor(spread)
    if BOOK in shapes:
        even = (torch.arange(shapes[BOOK][0]) % 2 == 0)[:, None, None]  # half of the vectors lie around the points of each group
        middles, widths = around.chunk(2), apart.chunk(2)
        state[BOOK] = torch.where(even, middles[0], middles[1]) + torch.where(even, *widths) * uniform(shapes[BOOK], 0, BOOK)
    else:
        state[f"{LOGITS}.weight"] = state[f"{LOGITS}.weight"] / apart[:, None]
        state[f"{LOGITS}.bias"] = (state[f"{LOGITS}.bias"] - around) / apart
    return state


def stored() -> dict:
    """What fairseq's classes made of it all: see write_vq_wav2vec.py."""
    return json.loads(STORED.read_text(encoding="utf-8"))
