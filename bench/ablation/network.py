"""The one network of all designs, at 16 kHz: a small lapped-transform codec (bench.nn.lapped), the quantizer in its middle.

wav [B, 1, T] -> codes [B, K, F] -> wav. Only the hop follows the design's frame rate; width, depth and latents stay.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from bench.ablation.designs import SAMPLE_RATE, STEPS, WIDTH, Design
from bench.ablation.quantizers import AnyQuantizer, Unquantized, built
from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.lapped import Lapped, straighten
from bench.nn.latent_codec import LatentCodec
from bench.weights.download import sha256_of
from bench.weights.files import fill, load_state

FAMILY = "ablation"
Codec = LatentCodec[AnyQuantizer]


def shape(design: Design) -> Lapped:
    """The network's numbers."""
    return Lapped(WIDTH, design.hop, width=128, hidden=384, encoder_layers=2, decoder_layers=3, analysis=1024)


def spec_of(design: Design, seed: int, weights: str) -> Spec:
    """The tokenizer of a design that was trained with a seed."""
    slowest = design.strides[0]
    steps = STEPS[design.size] if design.quantizer == "fsq" else ()
    size = torch.Size(steps).numel() if steps else design.size
    books = tuple(
        Codebook(size, design.rate / slowest, table=f"level {level}" if slowest > 1 else "", levels=steps)
        for level, stride in enumerate(design.strides)
        for _ in range(slowest // stride)
    )
    return Spec(FAMILY, f"{design.name}-seed{seed}", SAMPLE_RATE, books, weights=weights, block=design.hop * slowest)


def network(design: Design, spec: Spec, quantizer: AnyQuantizer | None = None) -> Codec:
    """A new model, from the global generator; with the design's quantizer, or with another."""
    lapped = shape(design)
    encoder, decoder = lapped.encoder(), lapped.decoder()
    straighten(encoder, decoder)
    return LatentCodec(spec, encoder, quantizer or built(design, WIDTH), decoder, spec.block, whole=True)


def seeded_network(design: Design, seed: int) -> Codec:
    """The network without a quantizer, its weights from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network(design, spec_of(design, seed, f"seed:{seed}"), Unquantized())


def load(design: Design, spec: Spec, path: Path) -> Codec:
    """The model with the weights of a file."""
    model = network(design, spec)
    fill(model, load_state(path), path)
    return model.eval()


def variant(design: Design, seed: int, path: Path) -> Variant:
    """A trained model as a tokenizer, known by the digest of its weights."""
    checkpoint = Checkpoint(str(path.resolve()), sha256_of(path))
    return Variant(spec_of(design, seed, sha256_of_all(checkpoint)), partial(load, design), checkpoint)
