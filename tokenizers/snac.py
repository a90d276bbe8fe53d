"""SNAC (Siuzdak et al. 2024, arxiv.org/abs/2410.14411): residual codebooks of different frame rates.

wav [B, 1, T] -> codes [B, K, n]: a column holds one code per slow frame, so the levels of the 24 kHz model have 1, 2 and 4 columns, 7 in
all, those of the others 1, 2, 4 and 8 (bench.nn.multiscale). Clips are padded to whole windows, 2,048 samples at 24 kHz, 12,288 in the
others: short clips cost more bits. The decoder mixes in noise, of a seed that it is given with the codes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.checks import require_codes, require_wav
from bench.nn.multiscale import MultiScaleQuantizer
from bench.nn.noise import Noise
from bench.nn.snac_layers import SnacNet
from bench.weights.files import fill, fold_weight_norm, load_state, renamed_by, seed_of, seeded


@dataclass(frozen=True)
class Config:
    """All numbers of a SNAC."""

    sample_rate: int
    waveform: SnacNet
    strides: tuple[int, ...]  # of the quantizer's levels, in latent frames
    size: int = 4096
    dimension: int = 8  # in which codes are looked up

    @property
    def block(self) -> int:
        """Samples that encode pads a clip to whole multiples of."""
        return self.waveform.hop * math.lcm(self.strides[0], self.waveform.window or 1)

    @property
    def columns(self) -> int:
        """Codes per slow frame."""
        return sum(self.strides[0] // stride for stride in self.strides)


WIDE = SnacNet((2, 3, 8, 8), filters=64, decoder_filters=1536, window=32)
CONFIGS = {
    "24khz": Config(24_000, SnacNet(), (4, 2, 1)),
    "32khz": Config(32_000, WIDE, (8, 4, 2, 1)),
    "44khz": Config(44_100, WIDE, (8, 4, 2, 1)),
    "tiny": Config(16_000, SnacNet((2, 5, 8), filters=8, decoder_filters=64, window=4), (4, 2, 1), size=64, dimension=4),
}


class Snac(nn.Module):
    """The codec."""

    def __init__(self, config: Config, spec: Spec):
        super().__init__()
        self.config, self.spec = config, spec
        self.encoder, self.decoder = config.waveform.encoder(), config.waveform.decoder()
        self.quantizer = MultiScaleQuantizer(config.strides, config.size, config.dimension, config.waveform.dimension)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> codes [B, K, n], n slow frames of ceil(T / block) blocks."""
        require_wav(wav)
        return self.quantizer.encode(self.encoder(F.pad(wav, (0, -wav.shape[-1] % self.config.block))))

    @torch.no_grad()
    def decode(self, codes: Tensor, seeds: Sequence[int] = ()) -> Tensor:
        """codes [B, K, n], a seed for each item -> wav [B, 1, n * slow frame]."""
        require_codes(codes, len(self.spec.codebooks))
        latents, noise = self.quantizer.decode(codes), Noise(seeds, len(codes))
        return self.decoder(latents, [noise.normal(1, length, like=latents) for length in self.decoder.lengths(latents.shape[-1])])


NAMES = (  # pattern in a checkpoint of the authors' code -> here; the numbers of encoder and decoder layers are mapped in renamed
    (r"^quantizer\.quantizers\.", "quantizer.layers."),
    (r"\.rel_pos\.inv_freq$", ".frequencies"),
)


def renamed(state: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The authors' state dict under our names, weight norm folded."""
    stages, attends = len(config.waveform.rates), bool(config.waveform.window)
    result = {}
    for name, value in fold_weight_norm(state).items():
        name = renamed_by(NAMES, name)
        name = re.sub(r"^encoder\.block\.(\d+)(.*)$", lambda m: _encoder_name(int(m[1]), m[2], stages), name)
        name = re.sub(r"^decoder\.model\.(\d+)(.*)$", lambda m: _decoder_name(int(m[1]), m[2], stages, attends), name)
        result[name] = value.reshape(-1) if name.endswith(".alpha") else value
    return result


def _encoder_name(index: int, rest: str, stages: int) -> str:
    """Layer 0 is a convolution, 1 to `stages` are blocks of five layers, then come the attention and the last convolution."""
    if not 1 <= index <= stages:
        return f"encoder.{0 if index == 0 else 5 * stages + index - stages}{rest}"
    _, _, inner, rest = rest.split(".", 3)
    return f"encoder.{5 * (index - 1) + 1 + int(inner)}.{rest.removeprefix('block.')}"


def _decoder_name(index: int, rest: str, stages: int, attends: bool) -> str:
    """Layers 0 and 1 are convolutions, then the attention, blocks of six layers, Snake and the last convolution."""
    start = 2 + attends
    if index < start:
        return f"decoder.first.{index}{rest}"
    if index >= start + stages:
        return f"decoder.last.{index - start - stages}{rest}"
    _, _, inner, rest = rest.split(".", 3)
    stage, part = index - start, int(inner)
    if part < 2:
        return f"decoder.ups.{stage}.{part}.{rest}"
    if part == 2:
        return f"decoder.noises.{stage}.{rest.removeprefix('linear.')}"
    return f"decoder.units.{stage}.{part - 3}.{rest.removeprefix('block.')}"


def load(spec: Spec, path: Path | None = None) -> Snac:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[spec.variant]
    model = Snac(config, spec)
    if path is None:
        draw(model, torch.Generator().manual_seed(seed_of(spec)))
    else:
        fill(model, renamed(load_state(path), config), path)
    return model.eval()


@torch.no_grad()
def draw(model: Snac, generator: torch.Generator) -> None:
    """Random weights, with codebooks around the latents of noise and a last layer that gives audio within full scale."""
    seeded(model, generator)
    wav = torch.randn(1, 1, 20 * model.config.block, generator=generator)
    model.quantizer.scatter(model.encoder(wav), generator)
    _, conv, _ = model.decoder.last
    assert isinstance(conv, nn.Conv1d) and conv.bias is not None
    loud: list[Tensor] = []

    def hear(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        loud.append(made)  # what the hyperbolic tangent gets

    hook = conv.register_forward_hook(hear)
    model.decode(model.encode(wav))
    hook.remove()
    conv.bias.sub_(loud[0].mean())
    for value in (conv.weight, conv.bias):
        value.mul_(0.2 / loud[0].std())


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
    slow = config.sample_rate / (config.waveform.hop * config.strides[0])
    spec = Spec(
        name="snac",
        variant=name,
        sample_rate=config.sample_rate,
        codebooks=tuple(
            Codebook(config.size, slow, table=f"level {level}")
            for level, stride in enumerate(config.strides)
            for _ in range(config.strides[0] // stride)
        ),
        block=config.block,
        sampled=True,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2410.14411, https://github.com/hubertsiuzdak/snac",
        licence="MIT" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
