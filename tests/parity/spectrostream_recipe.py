"""Weights, sounds and cases of SpectroStream's parity test, the same on every machine: the authors' code needs JAX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.nn.spectral import SpectralNet
from bench.tokenizers.spectrostream import BOOKS, OFFICIAL, Config
from tests.parity.wavtokenizer_recipe import Shapes, uniform

STORED = Path(__file__).with_name("spectrostream.json")
SMALL = Config(SpectralNet(width=4, decoder_width=6, dimension=16), levels=6, size=64)
CONFIGS = {"small": SMALL, "full": OFFICIAL}
CASES = {  # clips, samples, codebooks
    "small": ((1, 20_000, 6), (3, 5_767, 6), (1, 1, 6), (1, 1_920, 3), (2, 9_600, 1)),
    "full": ((1, 5_761, 64), (1, 3_840, 12)),
}
SEEDS = {"small": (0, 1, 2), "full": (0,)}
SHRINKS = 0.97  # from codebook to codebook, so that no level is done before the last one
Facts = dict[str, Any]  # where codebooks lie and how far they reach in each dimension, and how loud the last layer is: see `weights`


def sizes(config: Config) -> dict[str, int]:
    """What the authors' configuration calls the numbers of ours."""
    net = config.network
    widths = {"encoder_base_conv_depth": net.width, "decoder_base_conv_depth": net.decoder_width, "num_features": net.dimension}
    return widths | {"num_quantizers": config.levels, "num_embeddings": config.size, "embedding_dim": net.dimension}


def weights(shapes: Shapes, seed: int, facts: Facts) -> dict[str, Tensor]:
    """Tensors under the names of the authors' files. The first codes lie around the middle of latents, all as far as these spread."""
    state = {}
    for name, shape in shapes.items():
        x = uniform(shape, seed, name)
        if name == BOOKS:
            state[name] = x * torch.tensor(facts["spread"]) * SHRINKS ** torch.arange(shape[0])[:, None, None]
            state[name][0] += torch.tensor(facts["middle"])
        else:
            state[name] = x * 0.1 if name.endswith("bias") else x / x[..., 0].numel() ** 0.5
    for name in (name for name in shapes if "base_conv_last" in name):
        state[name] = state[name] * facts["quiet"]
    return state


def sound(clips: int, samples: int, seed: int) -> Tensor:
    """wav [B, 2, T]: noise whose loudness steps up and down fifty times a second, another way in every channel of every clip."""
    noise = uniform((clips, 2, samples), seed, "noise")
    steps = uniform((clips, 2, samples // 960 + 1), seed, "loudness").abs().repeat_interleave(960, dim=-1)[..., :samples]
    return 0.3 * noise * steps
