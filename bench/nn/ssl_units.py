"""What HuBERT, WavLM, wav2vec 2.0, w2v-BERT and CPC units share: one layer of a speech encoder, and a k-means codebook of its features.

wav [B, 1, T] at 16 kHz -> features [B, F, D], 50 or 100 a second -> codes [B, 1, F]. Two files: the encoder, and the codebook, which
--weights replaces. Where no digest of the encoder is known, one file of the user's holds both: `bench kmeans --weights ENCODER` writes it.
A family is data; its variants are named shape-layer-clusters, as `base-l9-km500`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from bench.api import Checkpoint, Codebook, Spec, TrainedHere, Variant, sha256_of_all
from bench.nn.hubert import HOP
from bench.nn.kmeans import Units
from bench.nn.seanet_lstm import draw_biases
from bench.weights.files import fill, load_centroids, load_state, seed_of, seeded

RATE = 16_000
MINI_LAYERS = 5  # that are trained
BESIDE = "it is the encoder, --weights names the codebook"
CURE = "{label} has no published codebook: fit one with `bench kmeans {label} --data DATA --out FILE`, then give it with --weights FILE"


class EncoderShape(Protocol):
    """A kind of encoder as data."""

    @property
    def dimension(self) -> int:
        """Of the features."""
        ...

    def encoder(self, layers: int) -> nn.Module:
        """A new one up to that layer: wav [B, 1, T] -> features [B, F, D]."""
        ...

    def named(self, state: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
        """A published state dict under its names, up to that layer."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a published file lies, and its sha256."""

    sha256: str
    url: str


@dataclass(frozen=True)
class Family:
    """One kind of encoder in its sizes, "tiny" (seeded, with 100 clusters) among them."""

    name: str
    source: str
    licence: str
    shapes: Mapping[str, EncoderShape]
    encoders: Mapping[str, Checkpoint]  # by the shape's name
    tiny_layer: int = 1
    codebooks: Mapping[str, Place] = field(default_factory=dict)  # by variant; where its authors published none, `bench kmeans` fits one
    hop: int = HOP  # samples between frames
    mini: Checkpoint | None = None  # what `bench train` made: a file of the codebook and the encoder up to the layer that it chose

    def parts(self, variant: str) -> tuple[str, int, int]:
        """`base-l9-km500` -> its shape's name, layer and clusters."""
        if variant == "tiny":
            return "tiny", self.tiny_layer, 100
        if variant == "mini":
            return "mini", MINI_LAYERS, 100
        shape, layer, clusters = variant.rsplit("-", 2)
        return shape, int(layer.removeprefix("l")), int(clusters.removeprefix("km"))

    def features(self, spec: Spec, encoder: Path | None = None) -> nn.Module:
        """The encoder up to the variant's layer, with the weights of a file, or drawn from the seed that the spec names."""
        name, layer, _ = self.parts(spec.variant)
        shape = self.shapes[name]
        if encoder is None:
            model = shape.encoder(layer)
            generator = torch.Generator().manual_seed(seed_of(spec))
            seeded(model, generator)
            draw_biases(model, generator)
            return model.eval()
        state = shape.named(load_state(encoder), layer)
        state.pop("centroids", None)  # of a file that holds both
        if name == "mini":
            layer = len({key.split(".")[1] for key in state if key.startswith("layers.")})
        model = shape.encoder(layer)
        fill(model, state, encoder)
        return model.eval()

    def load(self, spec: Spec, codebook: Path | None = None, encoder: Path | None = None) -> Units:
        """The tokenizer of a variant; without files, all of it is drawn from the seed."""
        units = Units(spec, self.features(spec, encoder), self.shapes[self.parts(spec.variant)[0]].dimension)
        if codebook is None:
            units.sow(seed_of(spec), RATE)
        else:
            units.set_centroids(load_centroids(codebook, *units.centroids.shape))
        return units.eval()

    def variants(self, names: Iterable[str]) -> dict[str, Variant]:
        """VARIANTS of the family's room file."""
        return {name: self._variant(name) for name in names}

    def _variant(self, name: str) -> Variant:
        shape, _, clusters = self.parts(name)
        encoder, place = self.encoders.get(shape), self.codebooks.get(name)
        stem = f"{self.name}-{name}"
        if self.mini and name == "mini":
            codebook = encoder = self.mini
        elif encoder and not encoder.sha256:
            codebook = encoder
        elif place:
            codebook = Checkpoint(f"{stem}.bin", place.sha256, place.url)
        else:
            codebook = Checkpoint(f"{stem}.safetensors", "", cure=CURE.format(label=f"{self.name}@{name}"))
        spec = Spec(
            name=self.name,
            variant=name,
            sample_rate=RATE,
            codebooks=(Codebook(clusters, RATE / self.hop),),
            weights=sha256_of_all(codebook, encoder) if encoder else "seed:0",
            decodes=False,
            source=self.source,
            licence="MIT" if name == "mini" else self.licence if encoder else "",
            trained_here=TrainedHere(0.9, f"{self.name}@base-l9-km500") if name == "mini" else None,
        )
        if encoder is None:
            return Variant(spec, self.load, features=self.features)
        return Variant(spec, self.load, codebook, beside=(encoder,), features=self.features)
