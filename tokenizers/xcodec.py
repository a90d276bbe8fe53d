"""X-codec (Ye et al. 2025, arxiv.org/abs/2408.17175): a residual quantizer of DAC's and HuBERT's features together.

wav [B, 1, T] at 16 kHz -> codes [B, K, ceil(T / 320)], 50 frames per second, 8 codebooks of 1,024 in 1,024 dimensions. The mean of all of
HuBERT's states, convolved, beside DAC's latents; the decoder is DAC's and hears the codes alone. Not causal. Codes and audio equal those of
transformers' XcodecModel; checkpoints of both, the authors' and transformers' (hf-audio), are read. T is filled up with zeros to whole
frames, as transformers' feature extractor does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn import dac_names, encodec_names, hubert_names
from bench.nn.hubert import Hubert, HubertShape
from bench.nn.latent_codec import LatentCodec
from bench.nn.quantize import ResidualQuantizer
from bench.nn.snake import SnakeNet
from bench.weights.files import fill, fold_weight_norm, load_state, renamed_by, seed_of, seeded

RATE = 16_000


@dataclass(frozen=True)
class Config:
    """All numbers of an X-codec. `acoustic` has the encoder's strides; the decoder's come in the same order, not mirrored."""

    acoustic: SnakeNet = SnakeNet((8, 5, 4, 2), dimension=256, decoder_filters=1024, complete=True, tanh=False)
    semantic: HubertShape = HubertShape()
    layers: int = 12  # of the semantic encoder
    levels: int = 8
    size: int = 1024

    @property
    def width(self) -> int:
        """Of the latents, in which codes are looked up."""
        return self.acoustic.dimension + self.semantic.dimension


CONFIGS = {
    "hubert": Config(),
    "tiny": Config(
        replace(Config.acoustic, filters=2, dimension=16, decoder_filters=64),
        HubertShape(dimension=32, heads=4, feedforward=64, channels=16, position_kernel=16, position_groups=4),
        layers=2,
        levels=4,
        size=64,
    ),
}


class Unit(nn.Module):
    """x + ELU, convolution of three taps, ELU, 1x1 convolution: [B, C, F] -> the same."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(width, width, 3, padding=1, bias=False), nn.Conv1d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.elu(self.conv1(F.elu(x))))


class Encoder(nn.Module):
    """wav [B, 1, n * 320] -> latents [B, D, n] of both kinds, mixed."""

    def __init__(self, config: Config):
        super().__init__()
        width = config.semantic.dimension
        self.acoustic = config.acoustic.encoder()
        self.semantic = Hubert(config.semantic, config.layers)
        self.first = nn.Conv1d(width, width, 3, padding=1, bias=False)
        self.blocks = nn.ModuleList(nn.Sequential(Unit(width), Unit(width), nn.Conv1d(width, width, 3, padding=1)) for _ in range(2))
        self.mix = nn.Linear(config.width, config.width)
        self.margin = config.acoustic.hop // 2  # HuBERT's frames hear 400 samples: with it there are as many as DAC's

    def forward(self, wav: Tensor) -> Tensor:
        x = self.first(self.states(F.pad(wav, (self.margin, self.margin))[:, 0]).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        return self.mix(torch.cat([self.acoustic(wav), x], dim=1).transpose(1, 2)).transpose(1, 2)

    def states(self, wav: Tensor) -> Tensor:
        """wav [B, T] -> the mean of what goes into the first layer and what leaves each one [B, F, D]."""
        heard = self.semantic.heard(wav)
        total, count = self.semantic.placed(heard), 1
        for state in self.semantic.states(heard):
            total, count = total + state, count + 1
        return total / count


class Decoder(nn.Module):
    """Latents [B, D, n] -> wav [B, 1, n * 320]."""

    def __init__(self, config: Config):
        super().__init__()
        self.mix = nn.Linear(config.width, config.acoustic.dimension)
        self.acoustic = replace(config.acoustic, rates=tuple(reversed(config.acoustic.rates))).decoder()

    def forward(self, x: Tensor) -> Tensor:
        return self.acoustic(self.mix(x.transpose(1, 2)).transpose(1, 2))


def build(spec: Spec) -> LatentCodec[ResidualQuantizer]:
    """The model of a variant, without weights."""
    config = CONFIGS[configuration(spec.variant)]
    quantizer = ResidualQuantizer(config.levels, config.size, config.width, width=0)
    return LatentCodec(spec, Encoder(config), quantizer, Decoder(config), config.acoustic.hop, whole=True)


TRAINING = ("decoder_semantic.", "fc1.", "fc_post1.")  # compare codes with HuBERT's features
AUTHORS = (  # pattern in a checkpoint of the authors' code -> in transformers' port
    (r"^encoder\.block\.", "acoustic_encoder.block."),
    (r"^decoder_2\.", "acoustic_decoder."),
    (r"^fc_prior\.", "fc."),
    (r"^fc_post2\.", "fc2."),
    (r"^(encoder_semantic\..*conv1?)\.conv\.", r"\1."),
)
NAMES = (  # pattern in transformers' port -> here
    (r"^encoder_semantic\.conv\.", "encoder.first."),
    (r"^encoder_semantic\.conv_blocks\.(\d+)\.res_units\.(\d+)\.", r"encoder.blocks.\1.\2."),
    (r"^encoder_semantic\.conv_blocks\.(\d+)\.conv\.", r"encoder.blocks.\1.2."),
    (r"^fc\.", "encoder.mix."),
    (r"^fc2\.", "decoder.mix."),
)


def renamed(state: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """A state dict of the authors' or of transformers' class under our names, weight norm folded, without what training alone needs."""
    state = fold_weight_norm({renamed_by(AUTHORS, name): value for name, value in state.items() if not name.startswith(TRAINING)})
    semantic = {name.removeprefix("semantic_model."): state.pop(name) for name in list(state) if name.startswith("semantic_model.")}
    sides = {name.removeprefix("acoustic_"): state.pop(name) for name in list(state) if name.startswith("acoustic_")}
    acoustic = dac_names.renamed(sides, len(config.acoustic.rates))
    result = {f"encoder.semantic.{name}": value for name, value in hubert_names.renamed(semantic, config.layers).items()}
    result |= {re.sub(r"^(encoder|decoder)\.", r"\1.acoustic.", name): value for name, value in acoustic.items()}
    books = {name.replace(".quantizers.", ".layers."): state.pop(name) for name in list(state) if name.startswith("quantizer.")}
    result |= encodec_names.renamed(books)
    return result | {renamed_by(NAMES, name): value for name, value in state.items()}


def load(spec: Spec, path: Path | None = None) -> LatentCodec[ResidualQuantizer]:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    model, config = build(spec), CONFIGS[configuration(spec.variant)]
    if path is None:
        generator = torch.Generator().manual_seed(seed_of(spec))
        seeded(model, generator)
        with torch.no_grad():
            model.quantizer.scatter(model.latents(torch.randn(1, 1, 100 * model.hop, generator=generator) / 3), generator)
    else:
        fill(model, renamed(load_state(path), config), path)
    return model.eval()


def configuration(variant: str) -> str:
    """The configuration that a variant's name names: `hubert-2cb` is `hubert`."""
    return variant.split("-")[0]


CHECKPOINT = Checkpoint(
    "xcodec_hubert_librispeech.safetensors",
    sha256="",
    url="https://huggingface.co/hf-audio/xcodec-hubert-librispeech/resolve/main/model.safetensors",
)


def variant(name: str, levels: int) -> Variant:
    """A line of VARIANTS: the first `levels` codebooks."""
    config = CONFIGS[configuration(name)]
    checkpoint = None if name == "tiny" else CHECKPOINT
    spec = Spec(
        name="xcodec",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / config.acoustic.hop),) * levels,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2408.17175, https://github.com/zhenye234/xcodec",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {
    "hubert": variant("hubert", 8),
    **{f"hubert-{levels}cb": variant(f"hubert-{levels}cb", levels) for levels in (1, 2, 4)},
    "tiny": variant("tiny", 4),
}
