"""WavLM units (Chen et al. 2021, arxiv.org/abs/2110.13900): encode only, 50 Hz.

wav [B, 1, T] at 16 kHz -> features of one transformer layer -> the nearest k-means centroid. Two files: the encoder, and the codebook,
which `bench kmeans` fits and --weights names: the authors publish none.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.hubert import HOP, Hubert, HubertShape
from bench.nn.hubert_names import renamed
from bench.nn.kmeans import Units
from bench.weights import fill, fold_weight_norm, load_centroids, load_state, seeded

RATE = 16_000
SHAPES = {
    "base-plus": HubertShape(buckets=320),
    "large": HubertShape(1024, heads=16, feedforward=4096, conv_norm="layer", pre_norm=True, normalized=True, buckets=320),
    "tiny": HubertShape(
        32,
        heads=2,
        feedforward=64,
        channels=32,
        conv_norm="layer",
        pre_norm=True,
        normalized=True,
        position_kernel=16,
        position_groups=4,
        buckets=32,
        max_distance=80,
    ),
}
HUB = "https://huggingface.co/microsoft"
BESIDE = "it is the encoder, --weights names the codebook"
ENCODERS = {
    "base-plus": Checkpoint(
        "wavlm-base-plus.bin",
        sha256="3bb273a6ace99408b50cfc81afdbb7ef2de02da2eab0234e18db608ce692fe51",
        url=f"{HUB}/wavlm-base-plus/resolve/4c66d4806a428f2e922ccfa1a962776e232d487b/pytorch_model.bin",
        cure=BESIDE,
    ),
    "large": Checkpoint(
        "wavlm-large.bin",
        sha256="fdee460e529396ddb2f8c8e8ce0ad74cfb747b726bc6f612e666c7c1e1963c9d",
        url=f"{HUB}/wavlm-large/resolve/c1423ed94bb01d80a3f5ce5bc39f6026a0f4828c/pytorch_model.bin",
        cure=BESIDE,
    ),
}


def parts(name: str) -> tuple[str, int, int]:
    """`base-plus-l9-km500` -> its shape's name, layer and clusters."""
    if name == "tiny":
        return "tiny", 2, 100
    shape, layer, clusters = name.rsplit("-", 2)
    return shape, int(layer.removeprefix("l")), int(clusters.removeprefix("km"))


def features(spec: Spec, encoder: Path | None = None) -> nn.Module:
    """The encoder up to the variant's layer, with the weights of a file, or drawn from the seed that the spec names."""
    name, layer, _ = parts(spec.variant)
    model = Hubert(SHAPES[name], layer)
    if encoder is None:
        seeded(model, torch.Generator().manual_seed(int(spec.weights.removeprefix("seed:"))))
    else:
        fill(model, renamed(fold_weight_norm(load_state(encoder)), layer, SHAPES[name].pre_norm), encoder)
    return model.eval()


def load(spec: Spec, codebook: Path | None = None, encoder: Path | None = None) -> Units:
    """The tokenizer of a variant; without files, all of it is drawn from the seed."""
    units = Units(spec, features(spec, encoder), SHAPES[parts(spec.variant)[0]].dimension)
    if codebook is None:
        units.sow(int(spec.weights.removeprefix("seed:")), RATE)
    else:
        units.set_centroids(load_centroids(codebook, *units.centroids.shape))
    return units.eval()


CURE = (
    "wavlm_kmeans@{name} has no published codebook: fit one with `bench kmeans wavlm_kmeans@{name} --data DATA --out FILE`, "
    "then give it with --weights FILE"
)


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    shape, _, clusters = parts(name)
    encoder = ENCODERS.get(shape)
    codebook = Checkpoint(f"wavlm_kmeans-{name}.safetensors", "", cure=CURE.format(name=name))
    spec = Spec(
        name="wavlm_kmeans",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(clusters, RATE / HOP),),
        weights=sha256_of_all(codebook, encoder) if encoder else "seed:0",
        decodes=False,
        source="https://arxiv.org/abs/2110.13900, https://github.com/microsoft/unilm/tree/master/wavlm",
        licence="CC-BY-SA-3.0 (encoder)" if encoder else "",
    )
    return Variant(spec, load, codebook, beside=(encoder,), features=features) if encoder else Variant(spec, load, features=features)


NAMES = ("large-l23-km500", "large-l23-km1000", "large-l23-km2000", "base-plus-l9-km500", "base-plus-l9-km2000")
VARIANTS: dict[str, Variant] = {name: variant(name) for name in (*NAMES, "tiny")}
