"""Jukebox's three codecs of music (Dhariwal et al. 2020, arxiv.org/abs/2005.00341): dilated convolutions around one codebook, each alone.

wav [B, 1, T] at 44.1 kHz -> codes [B, 1, ceil(T / hop)], one codebook of 2,048 in 64 dimensions, looked up by distance. `bottom`, `middle`
and `top` have a code every 8, 32 and 128 samples; each is a codec of its own, trained beside the others, and decodes without them. Not
causal. T is filled up with zeros to whole frames; the authors' code takes whole frames only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.latent_codec import LatentCodec
from bench.nn.quantize import ResidualQuantizer
from bench.weights.files import filled_or_drawn, renamed_by, seeded

RATE = 44_100
STRIDE = 2  # of every change of rate
GROWTH = 3  # of the dilation, from one residual unit to the next


@dataclass(frozen=True)
class Config:
    """All numbers of one of the codecs. A level adds to the changes of rate of those below it."""

    level: int  # 0: bottom
    width: int = 32
    depth: int = 4  # residual units at each rate
    changes: tuple[int, ...] = (3, 2, 2)  # halvings of the rate, level by level
    dimension: int = 64  # of the latents, and between two levels
    size: int = 2048

    @property
    def hop(self) -> int:
        """Samples a code."""
        return STRIDE ** sum(self.changes[: self.level + 1])


CONFIGS = {
    "bottom": Config(0, width=64, depth=8),
    "middle": Config(1),
    "top": Config(2),
    "tiny": Config(2, width=8, depth=3, dimension=16, size=64),
}


class Unit(nn.Module):
    """x + rectifier, dilated convolution of three taps, rectifier, 1x1 convolution: [B, C, T] -> the same."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.dilated, self.mix = nn.Conv1d(width, width, 3, dilation=dilation, padding=dilation), nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(F.relu(self.dilated(F.relu(x)), inplace=True))


class Up(nn.ConvTranspose1d):
    """Transposed convolution: [B, in, T] -> [B, out, 2 T]."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 2 * STRIDE, STRIDE, padding=STRIDE // 2)


def units(config: Config, widest_first: bool) -> nn.Sequential:
    """The residual units at one rate."""
    dilations = [GROWTH**index for index in range(config.depth)]
    return nn.Sequential(*(Unit(config.width, dilation) for dilation in (reversed(dilations) if widest_first else dilations)))


def encoder(config: Config) -> nn.Sequential:
    """[B, 1, n * hop] -> [B, D, n]: each level halves the rate a few times, with residual units after each, and narrows to D."""

    def levels() -> Iterator[nn.Sequential]:
        inputs = 1
        for count in config.changes[: config.level + 1]:
            widths = [inputs, *[config.width] * count]
            downs = [nn.Conv1d(widths[i], config.width, 2 * STRIDE, STRIDE, padding=STRIDE // 2) for i in range(count)]
            parts = [nn.Sequential(down, units(config, widest_first=False)) for down in downs]
            yield nn.Sequential(*parts, nn.Conv1d(config.width, config.dimension, 3, padding=1))
            inputs = config.dimension

    return nn.Sequential(*levels())


def decoder(config: Config) -> nn.Sequential:
    """[B, D, n] -> [B, 1, n * hop]: the encoder's mirror, and a last convolution."""

    def levels() -> Iterator[nn.Sequential]:
        for count in reversed(config.changes[: config.level + 1]):
            widths = [*[config.width] * (count - 1), config.dimension]
            ups = [nn.Sequential(units(config, widest_first=True), Up(config.width, width)) for width in widths]
            yield nn.Sequential(nn.Conv1d(config.dimension, config.width, 3, padding=1), *ups)

    return nn.Sequential(*levels(), nn.Conv1d(config.dimension, 1, 3, padding=1))


def build(spec: Spec) -> LatentCodec[ResidualQuantizer]:
    """The model of a variant, without weights."""
    config = CONFIGS[spec.variant]
    quantizer = ResidualQuantizer(1, config.size, config.dimension, width=0)
    return LatentCodec(spec, encoder(config), quantizer, decoder(config), config.hop, whole=True)


NAMES = (  # pattern in what the authors' file says of one codec -> here
    (r"^encoder\.level_blocks\.(\d+)\.model\.", r"encoder.\1."),
    (r"^(encoder\.\d+\.\d+\.1|decoder\.\d+\.\d+\.0)\.model\.(\d+)\.model\.1\.", r"\1.\2.dilated."),
    (r"^(encoder\.\d+\.\d+\.1|decoder\.\d+\.\d+\.0)\.model\.(\d+)\.model\.3\.", r"\1.\2.mix."),
)


def renamed(state: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """What a state dict of the authors' class, which has all three codecs, holds of one of them, under our names."""
    result, level = {}, config.level
    others = re.compile(rf"(encoders|decoders|bottleneck\.level_blocks)\.(?!{level}\.)\d\.")
    for name, value in state.items():
        name = name.removeprefix("module.")
        if others.match(name):
            continue
        if name == f"bottleneck.level_blocks.{level}.k":
            book = "quantizer.layers.0."
            result |= {f"{book}embedding_sum": value, f"{book}cluster_usage": torch.ones(len(value)), f"{book}initialized": torch.ones(1)}
            continue
        name = re.sub(rf"^(encoder|decoder)s\.{level}\.", r"\1.", name)
        # the decoder goes through its levels backwards
        name = re.sub(r"^decoder\.level_blocks\.(\d)\.model\.", lambda found: f"decoder.{level - int(found[1])}.", name)
        result[renamed_by(NAMES, re.sub(r"^decoder\.out\.", f"decoder.{level + 1}.", name))] = value
    return result


def load(spec: Spec, path: Path | None = None) -> LatentCodec[ResidualQuantizer]:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[spec.variant]
    return filled_or_drawn(build(spec), spec, path, lambda state: renamed(state, config), draw)


@torch.no_grad()
def draw(model: LatentCodec[ResidualQuantizer], seed: int) -> None:
    """Random weights, with codes around the latents of noise, and a last layer that gives audio within full scale."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    wav = torch.randn(1, 1, 200 * model.hop, generator=generator) / 3
    latents = model.latents(wav)
    model.quantizer.scatter(latents, generator, spread=1.0)
    assert isinstance(model.decoder, nn.Sequential)
    last = model.decoder[-1]
    assert isinstance(last, nn.Conv1d)
    last.weight.mul_(0.2 / model.synthesis(latents).std())


# its digest is published nowhere that could be found: it is read from --weights PATH only
CHECKPOINT = Checkpoint("jukebox_vqvae.pth.tar", sha256="", url="https://openaipublic.azureedge.net/jukebox/models/5b/vqvae.pth.tar")


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], None if name == "tiny" else CHECKPOINT
    spec = Spec(
        name="jukebox",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / config.hop),),
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2005.00341, https://github.com/openai/jukebox",
        licence="OpenAI-non-commercial" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in ("top", "middle", "bottom", "tiny")}
