"""MFCC units, the labels of HuBERT's first iteration (Hsu et al. 2021, arxiv.org/abs/2106.07447, section IV.B): encode only, 100 Hz.

wav [B, 1, T] at 16 kHz -> 39 cepstra and their derivatives -> the nearest k-means centroid. The one file is the codebook: that of
`mini` is shipped; the others `bench kmeans` fits and --weights names, as the authors publish none.
"""

from __future__ import annotations

from pathlib import Path

from bench.api import Checkpoint, Codebook, Spec, TrainedHere, Variant, sha256_of_all
from bench.nn.kmeans import Units
from bench.nn.mfcc import CEPSTRA, HOP, RATE, Mfcc
from bench.weights.files import load_centroids, seed_of

MINI = Checkpoint("mfcc_kmeans_mini.safetensors", sha256="482d6699b020265b13c1cbe3a02720b6530d5ab55d740be2a6bf2bad114ec69f")
CLUSTERS = {"mini": 100, "km100": 100, "km50": 50, "km200": 200, "km500": 500, "tiny": 100}
CURE = (
    "mfcc_kmeans@{name} has no published codebook: fit one with `bench kmeans mfcc_kmeans@{name} --data DATA --out FILE`, "
    "then give it with --weights FILE"
)


def features(spec: Spec) -> Mfcc:
    """The same for every variant."""
    return Mfcc().eval()


def load(spec: Spec, codebook: Path | None = None) -> Units:
    """The tokenizer of a variant; without a file, its centroids are drawn from the seed."""
    units = Units(spec, features(spec), 3 * CEPSTRA)
    if codebook is None:
        units.sow(seed_of(spec), RATE)
    else:
        units.set_centroids(load_centroids(codebook, *units.centroids.shape))
    return units.eval()


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    codebook = Checkpoint(f"mfcc_kmeans-{name}.safetensors", "", cure=CURE.format(name=name))
    codebook = {"mini": MINI, "tiny": None}.get(name, codebook)
    spec = Spec(
        name="mfcc_kmeans",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(CLUSTERS[name], RATE / HOP),),
        weights=sha256_of_all(codebook) if codebook else "seed:0",
        decodes=False,
        source="https://arxiv.org/abs/2106.07447, https://github.com/facebookresearch/fairseq/tree/main/examples/hubert/simple_kmeans",
        licence="MIT" if name == "mini" else "",
        trained_here=TrainedHere(0.9) if name == "mini" else None,
    )
    return Variant(spec, load, codebook, features=features)


VARIANTS: dict[str, Variant] = {name: variant(name) for name in CLUSTERS}
