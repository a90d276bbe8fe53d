"""SNAC (Siuzdak et al. 2024, arxiv.org/abs/2410.14411): residual codebooks of different frame rates.

wav [B, 1, T] -> codes [B, K, n]: a column holds one code per slow frame, so the levels of the 24 kHz model have 1, 2 and 4 columns, 7 in
all, those of the others 1, 2, 4 and 8 (bench.nn.multiscale). Clips are padded to whole windows, 2,048 samples at 24 kHz, 12,288 in the
others: short clips cost more bits. The decoder mixes in noise, of a seed that it is given with the codes.
"""

from __future__ import annotations

from pathlib import Path

import torch

from bench.api import Checkpoint, Spec, Variant, sha256_of_all
from bench.nn.snac import Snac, SnacConfig, draw, renamed
from bench.nn.snac_layers import SnacNet
from bench.weights.files import fill, load_state, seed_of

WIDE = SnacNet((2, 3, 8, 8), filters=64, decoder_filters=1536, window=32)
CONFIGS = {
    "24khz": SnacConfig(24_000, SnacNet(), (4, 2, 1)),
    "32khz": SnacConfig(32_000, WIDE, (8, 4, 2, 1)),
    "44khz": SnacConfig(44_100, WIDE, (8, 4, 2, 1)),
    "tiny": SnacConfig(16_000, SnacNet((2, 5, 8), filters=8, decoder_filters=64, window=4), (4, 2, 1), size=64, dimension=4),
}


def load(spec: Spec, path: Path | None = None) -> Snac:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[spec.variant]
    model = Snac(config, spec)
    if path is None:
        draw(model, torch.Generator().manual_seed(seed_of(spec)))
    else:
        fill(model, renamed(load_state(path), config), path)
    return model.eval()


PLACES = {  # revision and sha256 of pytorch_model.bin, where it is known
    "24khz": ("d73ad176a12188fcf4f360ba3bf2c2fbbe8f58ec", ""),
    "32khz": ("main", "bfee2f057c1e287443786bedab377b5176b430e911417683977b7af71ea3ba65"),
    "44khz": ("main", "b0a676cbdc8d1cc53186f6d777bc956fb7932ceacdc657a4c3741646e9e7ead0"),
}


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], None
    if name in PLACES:
        revision, sha256 = PLACES[name]
        url = f"https://huggingface.co/hubertsiuzdak/snac_{name}/resolve/{revision}/pytorch_model.bin"
        checkpoint = Checkpoint(f"snac_{name}.bin", sha256, url)
    spec = Spec(
        name="snac",
        variant=name,
        sample_rate=config.sample_rate,
        codebooks=config.codebooks,
        block=config.block,
        sampled=True,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2410.14411, https://github.com/hubertsiuzdak/snac",
        licence="MIT" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
