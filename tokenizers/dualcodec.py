"""DualCodec (Li et al. 2025, arxiv.org/abs/2505.13000): a code of what w2v-BERT 2.0 understood, and DAC's codes of what it left out.

wav [B, 1, T] at 24 kHz -> codes [B, K, F], 12.5 or 25 frames per second: one of 16,384 from w2v-BERT's 17th layer, which hears the clip at
16 kHz, then up to 7 of 4,096 or 11 of 1,024 for DAC's latents less what the first says -> wav [B, 1, F * hop] less the few samples that odd
strides cost. The first code alone decodes, too. Not causal. Frames that the authors' code gives are theirs; it averages two or four of
w2v-BERT's features to a frame and drops the rest, of which here a last frame is made, so that every whole hop has one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn import dac_names, w2v_bert_names
from bench.nn.checks import require_codes, require_wav
from bench.nn.factorised import FactorisedQuantizer
from bench.nn.random_weights import loud_and_quiet, soften
from bench.nn.resample import SincResample
from bench.nn.snake import SnakeNet
from bench.nn.stream import few_at_once
from bench.nn.vocos import ConvNeXt
from bench.nn.w2v_bert import W2vBert, W2vBertShape
from bench.weights.files import filled_or_drawn, fold_weight_norm, renamed_by, seeded

RATE, SEMANTIC_RATE = 24_000, 16_000


@dataclass(frozen=True)
class Config:
    """All numbers of a DualCodec."""

    waveform: SnakeNet
    pooled: int  # features of w2v-BERT to a frame
    levels: int  # of the acoustic codes
    size: int
    semantic: W2vBertShape = W2vBertShape()
    layers: int = 17  # of w2v-BERT
    semantic_size: int = 16_384
    width: int = 768  # of the ConvNeXt blocks
    hidden: int = 2048
    blocks: int = 4  # before the semantic code, and after it
    dimension: int = 8  # in which codes are looked up


CONFIGS = {
    "12hz": Config(SnakeNet((4, 5, 6, 8, 2), filters=32), pooled=4, levels=7, size=4096),
    "25hz": Config(SnakeNet((4, 5, 6, 8)), pooled=2, levels=11, size=1024),
    "tiny": Config(
        SnakeNet((4, 5, 6, 8, 2), filters=2, dimension=16, decoder_filters=64),
        pooled=4,
        levels=3,
        size=64,
        semantic=W2vBertShape(dimension=16, heads=2, feedforward=32, mels=20, kernel=5, before=8, after=2),
        layers=2,
        semantic_size=128,
        width=24,
        hidden=48,
        blocks=2,
        dimension=4,
    ),
}


def blocks(config: Config) -> list[nn.Module]:
    """ConvNeXt blocks that hear the past alone."""
    return [ConvNeXt(config.width, config.hidden, kernel=7, scale=1.0, causal=True, epsilon=1e-6) for _ in range(config.blocks)]


class DualCodec(nn.Module):
    """The codec."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: Config, spec: Spec):
        super().__init__()
        self.spec, self.hop, self.pooled = spec, config.waveform.hop, config.pooled
        wide = config.semantic.dimension
        self.resample = SincResample(RATE, SEMANTIC_RATE)
        self.semantic = W2vBert(config.semantic, config.layers, rounded_up=True)
        for name, value in (("mean", 0.0), ("deviation", 1.0)):  # of each feature, over the data that the authors trained on
            self.register_buffer(name, torch.full((wide,), value))
        self.before = nn.Sequential(nn.Conv1d(wide, config.width, 1), *blocks(config))
        self.meaning = FactorisedQuantizer(1, config.semantic_size, config.dimension, config.width)
        self.after = nn.Sequential(*blocks(config), nn.Conv1d(config.width, config.waveform.dimension, 1))
        self.encoder, self.decoder = config.waveform.encoder(), config.waveform.decoder()
        self.quantizer = FactorisedQuantizer(config.levels, config.size, config.dimension, config.waveform.dimension)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T], T >= 1 -> codes [B, K, F]."""
        require_wav(wav)
        first = self.meaning.encode(self.understood(wav))
        levels = len(self.spec.codebooks) - 1
        if not levels:
            return first
        rest = self.heard(wav)[..., : first.shape[-1]] - self.meant(first)
        return torch.cat([first, self.quantizer.encode(rest, levels)], dim=1)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, F] -> wav [B, 1, F * hop], or a few samples less."""
        require_codes(codes, len(self.spec.codebooks), least=1)
        x = self.meant(codes[:, :1])
        if codes.shape[1] > 1:
            x = x + self.quantizer.decode(codes[:, 1:])
        return few_at_once(self.decoder, x)

    def understood(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> what the first code is of [B, C, F]."""
        return self.before(self.features(self.resample(wav)))

    def features(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] at 16 kHz -> w2v-BERT's features, so many averaged to a frame [B, D, F]."""
        x = (self.semantic(wav) - self.mean) / self.deviation
        whole = x.shape[1] // self.pooled * self.pooled
        frames = x[:, :whole].unflatten(1, (-1, self.pooled)).mean(2)
        rest = x[:, whole : x.shape[1] - self.semantic.unheard(wav.shape[-1])]
        if rest.shape[1]:
            frames = torch.cat([frames, rest.mean(1, keepdim=True)], dim=1)
        return frames.transpose(1, 2)

    def heard(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T], filled up with zeros to whole frames -> latents [B, D, ceil(T / hop)]."""
        return few_at_once(self.encoder, F.pad(wav, (0, -wav.shape[-1] % self.hop)))

    def meant(self, codes: Tensor) -> Tensor:
        """The first codes [B, 1, F] -> what they say of the latents [B, D, F]."""
        return self.after(self.meaning.decode(codes))


NAMES = (  # pattern in the authors' file -> here, or as in one of DAC's
    (r"^dac\.", ""),
    (r"^semantic_vq\.quantizers\.", "meaning.layers."),
    (r"^convnext_encoder\.", "before."),
    (r"^convnext_decoder\.", "after."),
    (r"^((?:before|after)\.\d+)\.dwconv\.", r"\1.depthwise."),
    (r"^((?:before|after)\.\d+)\.pwconv(\d)\.", r"\1.linear\2."),
)
SPEECH, MEAN, VARIANCE = "semantic_model.", "semantic_mean", "semantic_var"  # what docs/tokenizers.md joins to the authors' file


def renamed(state: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The authors' state dict, joined with w2v-BERT's and the features' mean and variance, under our names, weight norm folded."""
    speech = {name.removeprefix(SPEECH): value for name, value in state.items() if name.startswith(SPEECH)}
    result = {f"semantic.{name}": value for name, value in w2v_bert_names.renamed(speech, config.layers).items()}
    own = {renamed_by(NAMES, name): value for name, value in state.items() if not name.startswith(SPEECH)}
    if MEAN in own and VARIANCE in own:
        result |= {"mean": own.pop(MEAN), "deviation": own.pop(VARIANCE).sqrt()}
    for name in [name for name in own if name.endswith(".depthwise.weight")]:
        result[name.replace("depthwise.weight", "scale")] = torch.ones(len(own[name]))  # theirs scale nothing
    acoustic = fold_weight_norm(own)
    within = {name: acoustic.pop(name) for name in list(acoustic) if re.match(r"(encoder|decoder|quantizer)\.", name)}
    return result | acoustic | dac_names.renamed(within, len(config.waveform.rates))


def load(spec: Spec, path: Path | None = None) -> DualCodec:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[configuration(spec.variant)]
    return filled_or_drawn(DualCodec(config, spec), spec, path, lambda state: renamed(state, config), draw)


@torch.no_grad()
def draw(model: DualCodec, seed: int) -> None:
    """Random weights, with codebooks around the latents of noise and quiet audio: otherwise everything would get the same few codes."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    for name, value in model.named_parameters():
        if re.match(r"(encoder|decoder)\..*3\.weight$|quantizer.*out_proj", name):  # what residual units add, and a level takes, is a part
            value.mul_(0.3)
    wav = loud_and_quiet(model.hop, generator)
    x = model.understood(wav)
    model.meaning.scatter(x, generator)
    meant = model.meant(model.meaning.encode(x))
    rest = model.heard(wav)[..., : meant.shape[-1]] - meant
    last, end = model.encoder[-1], model.decoder[-2]
    assert isinstance(last, nn.Conv1d) and isinstance(end, nn.Conv1d) and last.bias is not None
    middle = rest.mean((0, 2))
    last.bias.sub_(middle)
    model.quantizer.scatter(rest - middle[:, None], generator)
    soften(end, lambda: model.decoder(rest - middle[:, None] + meant))


def configuration(variant: str) -> str:
    """The configuration that a variant's name names: `12hz-1cb` is `12hz`."""
    return variant.split("-")[0]


CHECKPOINT_OF = {
    name: Checkpoint(
        f"dualcodec-{name}.safetensors",
        cure=f"dualcodec@{name} wants two files of https://huggingface.co/amphion/dualcodec and one of https://huggingface.co/facebook/"
        "w2v-bert-2.0 in one, whose sha256 nobody states: docs/tokenizers.md joins them, then give the result with --weights FILE",
    )
    for name in ("12hz", "25hz")
}


def variant(name: str, count: int | None = None) -> Variant:
    """A line of VARIANTS: a configuration with the first `count` of its codebooks (None: with all)."""
    config, checkpoint = CONFIGS[name], CHECKPOINT_OF.get(name)
    rate = RATE / config.waveform.hop
    books = Codebook(config.semantic_size, rate, "semantic"), *(Codebook(config.size, rate, "acoustic"),) * config.levels
    spec = Spec(
        name="dualcodec",
        variant=name if count is None else f"{name}-{count}cb",
        sample_rate=RATE,
        codebooks=books[:count],
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2505.13000, https://github.com/jiaqili3/DualCodec",
    )
    return Variant(spec, load, checkpoint)


FEWER = {"12hz": (1, 2, 4), "25hz": (1, 2, 4, 8), "tiny": (1,)}
VARIANTS = {line.spec.variant: line for name, counts in FEWER.items() for line in (variant(name), *(variant(name, n) for n in counts))}
