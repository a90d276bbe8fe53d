"""DAC, the Descript Audio Codec (Kumar et al. 2023, arxiv.org/abs/2306.06546): convolutions with Snake and a factorised residual quantizer.

wav [B, 1, T] -> convolutional encoder -> K codebooks of 10 bits, each looked up in 8 dimensions, and the mirrored decoder. T is filled up
with zeros to whole frames. The 16 and 24 kHz models have an odd stride, whose transposed convolution drops a sample: decode gives 8
samples fewer than whole frames. Nothing is normalised to a loudness: that belongs to the authors' command line, not to the codec.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.api import Checkpoint, Codebook, Spec, TrainedHere, Variant
from bench.nn.dac_names import renamed
from bench.nn.factorised import FactorisedQuantizer
from bench.nn.lapped import Lapped, straighten
from bench.nn.latent_codec import LatentCodec
from bench.nn.random_weights import centre, loud_and_quiet
from bench.nn.snake import SnakeNet
from bench.nn.stream import few_at_once
from bench.weights.files import filled_or_drawn, fold_weight_norm, seeded


@dataclass(frozen=True)
class Config:
    """All numbers of a DAC."""

    sample_rate: int
    levels: int
    waveform: SnakeNet | Lapped
    size: int = 1024
    dimension: int = 8  # of the codebooks' vectors
    beam: int = 1  # sequences of codes that encoding follows

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.waveform.hop


CONFIGS = {
    "mini": Config(16_000, 12, Lapped(dimension=192, decoder_layers=7), dimension=64, beam=8),
    "16khz": Config(16_000, 12, SnakeNet((2, 4, 5, 8))),
    "24khz": Config(24_000, 32, SnakeNet((2, 4, 5, 8))),
    "44khz": Config(44_100, 9, SnakeNet((2, 4, 8, 8))),
    "44khz-16kbps": Config(44_100, 18, SnakeNet((2, 4, 8, 8), dimension=128)),
    "tiny": Config(16_000, 4, SnakeNet((2, 4, 5, 8), filters=2, dimension=32, decoder_filters=64), size=64, dimension=4),
}


class DAC(LatentCodec[FactorisedQuantizer]):
    """The codec. Its decoder gives n * hop samples less the tail that odd strides cost."""

    def __init__(self, config: Config, spec: Spec):
        shape = config.waveform
        quantizer = FactorisedQuantizer(config.levels, config.size, config.dimension, shape.dimension, config.beam)
        super().__init__(spec, shape.encoder(), quantizer, shape.decoder(), shape.hop, whole=True)
        self.config = config

    def _encode(self, wav: Tensor) -> Tensor:
        return few_at_once(super()._encode, wav)

    def _decode(self, codes: Tensor) -> Tensor:
        return few_at_once(super()._decode, codes)


def load(spec: Spec, path: Path | None = None) -> DAC:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[configuration(spec.variant)]
    model = DAC(config, spec)
    stages = len(config.waveform.rates) if isinstance(config.waveform, SnakeNet) else 0
    return filled_or_drawn(model, spec, path, lambda state: renamed(fold_weight_norm(state), stages), draw)


@torch.no_grad()
def draw(model: DAC, seed: int) -> None:
    """Random weights under which codes vary."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    if isinstance(model.config.waveform, Lapped):
        straighten(model.encoder, model.decoder)
    for name, value in model.named_parameters():
        if name.endswith("3.weight") or "out_proj" in name:  # what residual units add, and what a level takes away, is a part
            value.mul_(0.3)
    if isinstance(model.config.waveform, SnakeNet):
        return centre(model, generator)
    model.quantizer.scatter(model.latents(loud_and_quiet(model.hop, generator)), generator)


def configuration(variant: str) -> str:
    """The configuration that a variant's name names: `44khz-4cb` is `44khz`."""
    return re.sub(r"-\d+cb$", "", variant)


RELEASES = "https://github.com/descriptinc/descript-audio-codec/releases/download"  # a release's files do not change under its tag
CHECKPOINTS = {
    "mini": Checkpoint("dac_mini.safetensors", "44436edc502ea7823873dc8d701f0d8e4fa8e589afdaabec0c3e29eb602a3b98"),
    "16khz": Checkpoint(
        "dac-16khz.pth", "95ab7176b67137d4d4c6c54b8d6ef3cea797faec228cb03ad084badcad570b4d", f"{RELEASES}/0.0.5/weights_16khz.pth"
    ),
    "24khz": Checkpoint(
        "dac-24khz.pth", "44bad592fc393e03eb0be7a5120b7d487fe9612fa41269dc03fca3d4b87e20ad", f"{RELEASES}/0.0.4/weights_24khz.pth"
    ),
    "44khz": Checkpoint(
        "dac-44khz.pth", "a88eed82a7024ccc1facdb1e605c4c2f99281c8118c22c9895ffa846d8fb61aa", f"{RELEASES}/0.0.1/weights.pth"
    ),
    # its digest is published nowhere that could be found: it is read from --weights PATH only
    "44khz-16kbps": Checkpoint("dac-44khz-16kbps.pth", "", f"{RELEASES}/1.0.0/weights_44khz_16kbps.pth"),
}


def variant(name: str, levels: int | None = None) -> Variant:
    """A line of VARIANTS: a configuration with the first `levels` of its codebooks (None: with all)."""
    config, checkpoint = CONFIGS[name], CHECKPOINTS.get(name)
    spec = Spec(
        name="dac",
        variant=name if levels is None else f"{name}-{levels}cb",
        sample_rate=config.sample_rate,
        codebooks=(Codebook(config.size, config.sample_rate / config.hop),) * (levels or config.levels),
        weights=f"sha256:{checkpoint.sha256}" if checkpoint else "seed:0",
        beam=config.beam,
        source="https://arxiv.org/abs/2306.06546, https://github.com/descriptinc/descript-audio-codec",
        licence="MIT" if checkpoint else "",
        trained_here=TrainedHere(0.9, "dac@16khz") if name == "mini" else None,
    )
    return Variant(spec, load, checkpoint)


FEWER = {"mini": (1, 2, 4, 8), "44khz": (1, 2, 3, 4, 6), "24khz": (1, 2, 4, 8, 16), "16khz": (1, 2, 4, 8), "44khz-16kbps": (9,)}
LADDERS = {
    line.spec.variant: line for name, levels in FEWER.items() for line in (variant(name), *(variant(name, count) for count in levels))
}
VARIANTS: dict[str, Variant] = {**LADDERS, "tiny": variant("tiny")}
HUB_IDS = {f"descript/dac_{rate}": rate for rate in ("16khz", "24khz", "44khz")}
