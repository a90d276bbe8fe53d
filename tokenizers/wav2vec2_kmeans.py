"""wav2vec 2.0 units (Baevski et al. 2020, arxiv.org/abs/2006.11477): encode only, 50 Hz.

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
    "base": HubertShape(),
    "tiny": HubertShape(32, heads=2, feedforward=64, channels=32, position_kernel=16, position_groups=4),
}
BESIDE = "it is the encoder, --weights names the codebook"
ENCODERS = {
    "base": Checkpoint(
        "wav2vec2-base.bin",
        sha256="3249fe98bfc62fcbc26067f724716a6ec49d12c4728a2af1df659013905dff21",
        url="https://huggingface.co/facebook/wav2vec2-base/resolve/0b5b8e868dd84f03fd87d01f9c4ff0f080fecfe8/pytorch_model.bin",
        cure=BESIDE,
    ),
}


def parts(name: str) -> tuple[str, int, int]:
    """`base-l6-km100` -> its shape's name, layer and clusters."""
    if name == "tiny":
        return "tiny", 1, 100
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
    "wav2vec2_kmeans@{name} has no published codebook: fit one with `bench kmeans wav2vec2_kmeans@{name} --data DATA --out FILE`, "
    "then give it with --weights FILE"
)


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    shape, _, clusters = parts(name)
    encoder = ENCODERS.get(shape)
    codebook = Checkpoint(f"wav2vec2_kmeans-{name}.safetensors", "", cure=CURE.format(name=name))
    spec = Spec(
        name="wav2vec2_kmeans",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(clusters, RATE / HOP),),
        weights=sha256_of_all(codebook, encoder) if encoder else "seed:0",
        decodes=False,
        source="https://arxiv.org/abs/2006.11477, https://github.com/facebookresearch/fairseq/tree/main/examples/wav2vec",
        licence="Apache-2.0 (encoder)" if encoder else "",
    )
    return Variant(spec, load, codebook, beside=(encoder,), features=features) if encoder else Variant(spec, load, features=features)


NAMES = ("base-l6-km500", "base-l6-km50", "base-l6-km100", "base-l6-km200")
VARIANTS: dict[str, Variant] = {name: variant(name) for name in (*NAMES, "tiny")}
