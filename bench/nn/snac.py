"""A codec of SNAC's kind (Siuzdak et al. 2024, arxiv.org/abs/2410.14411): SNAC itself, and LLM-Codec with words for codes.

wav [B, 1, T] -> codes [B, K, n]: a column holds one code per slow frame (bench.nn.multiscale). Clips are padded to whole windows of the
attention and whole slow frames. The decoder mixes in noise, of a seed that it is given with the codes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Codebook, Spec
from bench.nn.checks import require_codes, require_wav
from bench.nn.multiscale import MultiScaleQuantizer
from bench.nn.noise import Noise
from bench.nn.snac_layers import SnacNet
from bench.weights.files import fold_weight_norm, renamed_by, seeded


@dataclass(frozen=True)
class SnacConfig:
    """All numbers of a codec of this kind."""

    sample_rate: int
    waveform: SnacNet
    strides: tuple[int, ...]  # of the quantizer's levels, in latent frames
    size: int = 4096
    dimension: int = 8  # in which codes are looked up; 0: in that of the latents
    sizes: tuple[int, ...] = ()  # of the levels, where they are not all of one size

    @property
    def block(self) -> int:
        """Samples that encode pads a clip to whole multiples of."""
        return self.waveform.hop * math.lcm(self.strides[0], self.waveform.window or 1)

    @property
    def columns(self) -> int:
        """Codes per slow frame."""
        return sum(self.strides[0] // stride for stride in self.strides)

    @property
    def codebooks(self) -> tuple[Codebook, ...]:
        """Of each column, the slowest level's first."""
        rate, sizes = self.sample_rate / (self.waveform.hop * self.strides[0]), self.sizes or (self.size,) * len(self.strides)
        levels = enumerate(zip(self.strides, sizes, strict=True))
        return tuple(
            Codebook(size, rate, table=f"level {level}") for level, (stride, size) in levels for _ in range(self.strides[0] // stride)
        )


class Snac(nn.Module):
    """The codec."""

    def __init__(self, config: SnacConfig, spec: Spec):
        super().__init__()
        self.config, self.spec = config, spec
        self.encoder, self.decoder = config.waveform.encoder(), config.waveform.decoder()
        self.quantizer = MultiScaleQuantizer(config.strides, config.sizes or config.size, config.dimension, config.waveform.dimension)

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


def renamed(state: dict[str, Tensor], config: SnacConfig) -> dict[str, Tensor]:
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
