"""BiCodec of Spark-TTS (Wang et al. 2025, arxiv.org/abs/2503.01710): what is said in one codebook, who says it in 32 codes a clip.

wav [B, 1, T] at 16 kHz -> codes [B, 1, T // 320], 50 frames per second, one codebook of 8,192, and side codes [B, 32, 1] of 4,096 each,
384 bits a clip. Frames come from the mean of three layers of wav2vec 2.0 (XLSR-53); the side codes from the first six seconds, which a
shorter clip repeats: mel magnitudes, ECAPA-TDNN, a perceiver, finite scalar quantization. Encode brings each clip to one loudness, as the
authors' loader does; decode gives that one. Not causal. A frame hears 80 samples past its own 320: where fewer follow the last one, zeros
stand for them; the authors' code leaves that frame out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Tokenizer, Variant, sha256_of_all
from bench.nn.bicodec_names import renamed
from bench.nn.checks import require_codes, require_wav
from bench.nn.conditioned import ConditionedStack
from bench.nn.factorised import FactorisedQuantizer
from bench.nn.hubert import WINDOW, Hubert, HubertShape
from bench.nn.onednn import Linear
from bench.nn.random_weights import loud_and_quiet, soften
from bench.nn.snake import SnakeNet
from bench.nn.speaker_codes import SpeakerCodes, SpeakerShape
from bench.nn.vocos import PaddedConv1d, Stack
from bench.weights.files import filled_or_drawn, seeded

RATE, HOP = 16_000, 320
KERNEL, EPSILON = 7, 1e-6
VOLUME, QUIET = 0.2, 0.1  # that loud samples have on average; below which the loudest one is brought to it
TRIPLED = 3  # the authors' block for another frame rate adds up three times its input where the rate stays


@dataclass(frozen=True)
class Config:
    """All numbers of a BiCodec."""

    speech: HubertShape = HubertShape(1024, heads=16, feedforward=4096, conv_norm="layer", conv_bias=True, pre_norm=True)
    averaged: tuple[int, ...] = (11, 14, 16)  # layers of it
    width: int = 384  # of the ConvNeXt blocks
    hidden: int = 2048
    layers: int = 12
    latents: int = 1024  # dimensions between the parts, and of the speaker's vector
    size: int = 8192
    speaker: SpeakerShape = SpeakerShape()
    filters: int = 1536  # of the decoder's first layer


CONFIGS = {
    "16khz": Config(),
    "tiny": Config(
        HubertShape(32, 2, 64, channels=16, conv_norm="layer", conv_bias=True, pre_norm=True, position_kernel=16, position_groups=4),
        averaged=(1, 2),
        width=16,
        hidden=32,
        layers=2,
        latents=32,
        size=64,
        speaker=SpeakerShape(mels=32, width=32, frames=48, squeezed=8, summary=16, vectors=8, heads=1, steps=(4,) * 3),
        filters=64,
    ),
}


class Backbone(nn.Module):
    """A convolution to `width` and ConvNeXt blocks: [B, inputs, F] -> [B, width, F]."""

    def __init__(self, inputs: int, config: Config, layers: int):
        super().__init__()
        self.embed = PaddedConv1d(inputs, config.width, KERNEL, groups=1)
        self.stack = Stack(config.width, config.hidden, KERNEL, layers, causal=False, epsilon=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return self.stack(self.embed(x))


def refined(blocks: nn.ModuleList, x: Tensor) -> Tensor:
    """x [B, C, F] through blocks that could change the frame rate, and do not."""
    for block in blocks:
        x = block(TRIPLED * x)
    return x


class Encoder(nn.Module):
    """wav [B, 1, T] of one loudness -> latents [B, D, F]."""

    def __init__(self, config: Config):
        super().__init__()
        self.averaged = config.averaged
        self.speech = Hubert(config.speech, max(config.averaged))
        self.backbone = Backbone(config.speech.dimension, config, config.layers)
        self.refine = nn.ModuleList(Backbone(config.width, config, 2) for _ in range(2))
        self.project = Linear(config.width, config.latents)

    def forward(self, wav: Tensor) -> Tensor:
        x = refined(self.refine, self.backbone(self.features(wav[:, 0]).transpose(1, 2)))
        return self.project(x.transpose(1, 2)).transpose(1, 2)

    def features(self, wav: Tensor) -> Tensor:
        """wav [B, T] -> the mean of the chosen layers [B, F, D]."""
        deviation = (wav.var(-1, correction=0, keepdim=True) + 1e-7).sqrt()
        whole = max(1, wav.shape[-1] // HOP) * HOP + WINDOW - HOP
        wav = F.pad((wav - wav.mean(-1, keepdim=True)) / deviation, (0, max(0, whole - wav.shape[-1])))
        states = enumerate(self.speech.states(self.speech.heard(wav)), start=1)
        return torch.stack([state for layer, state in states if layer in self.averaged]).sum(0) / len(self.averaged)


class Decoder(nn.Module):
    """Quantized latents [B, D, F] and the vector [B, D] -> wav [B, 1, F * 320]."""

    def __init__(self, config: Config):
        super().__init__()
        self.narrow = Linear(config.latents, config.width)
        self.refine = nn.ModuleList(Backbone(config.width, config, 2) for _ in range(2))
        self.embed = PaddedConv1d(config.width, config.width, KERNEL, groups=1)
        self.stack = ConditionedStack(config.width, config.hidden, KERNEL, config.layers, config.latents)
        self.widen = Linear(config.width, config.latents)
        self.waveform = SnakeNet((2, 4, 5, 8), dimension=config.latents, decoder_filters=config.filters, longer=True).decoder()

    def forward(self, latents: Tensor, vector: Tensor) -> Tensor:
        x = refined(self.refine, self.narrow(latents.transpose(1, 2)).transpose(1, 2))
        x = self.widen(self.stack(self.embed(x), vector).transpose(1, 2)).transpose(1, 2)
        return self.waveform(x + vector[..., None])


def levelled(clip: Tensor) -> Tensor:
    """A clip [1, T] at the loudness that the authors' loader brings it to.

    The mean of its loud samples (between 90 and 99 % of those above .01) becomes .2, by a factor from .1 to 10; no sample leaves [-1, 1].
    """
    sizes = clip.abs().flatten().double().sort().values
    if (peak := float(sizes[-1])) < QUIET:
        clip = clip / max(peak, 1e-3) * QUIET
    heard = sizes[sizes > 0.01]
    if len(heard) <= 10:
        return clip
    volume = float(heard[int(0.9 * len(heard)) : int(0.99 * len(heard))].mean())
    clip = clip * min(max(VOLUME / volume, 0.1), 10.0)
    return clip / max(1.0, float(clip.abs().max()))


class BiCodec(nn.Module):
    """The codec."""

    def __init__(self, spec: Spec):
        super().__init__()
        self.spec, config = spec, CONFIGS[spec.variant]
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.speaker = SpeakerCodes(config.speaker, config.latents)
        self.quantizer = FactorisedQuantizer(1, config.size, min(8, config.latents), config.latents)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """wav [B, 1, T] -> codes [B, 1, F], side codes [B, N, 1]."""
        require_wav(wav)
        wav = torch.stack([levelled(clip) for clip in wav])
        return self.quantizer.encode(self.encoder(wav)), self.speaker.encode(wav)

    @torch.no_grad()
    def decode(self, codes: Tensor, side: Tensor) -> Tensor:
        """codes [B, 1, F], side codes [B, N, 1] -> wav [B, 1, F * 320]."""
        require_codes(codes, 1, least=1)
        require_codes(side, len(self.spec.side), least=1)
        return self.decoder(self.quantizer.decode(codes), self.speaker.decode(side))


def load(spec: Spec, path: Path | None = None) -> BiCodec:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[spec.variant]
    return filled_or_drawn(BiCodec(spec), spec, path, lambda state: renamed(state, max(config.averaged)), draw)


@torch.no_grad()
def draw(model: BiCodec, seed: int) -> None:
    """Random weights, with codes around the latents of noise, and a last layer that gives audio within full scale."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    model.eval()
    wav = loud_and_quiet(HOP, generator)
    latents, vector = model.encoder(wav), model.speaker.decode(model.speaker.encode(wav))
    model.quantizer.scatter(latents, generator)
    last = model.decoder.waveform[-2]
    assert isinstance(last, nn.Conv1d)
    soften(last, lambda: model.decoder(model.quantizer.decode(model.quantizer.encode(latents)), vector))


CHECKPOINT = Checkpoint(
    "bicodec.safetensors",
    cure="bicodec@16khz wants two files of https://huggingface.co/SparkAudio/Spark-TTS-0.5B (CC-BY-NC-SA-4.0: no commercial use) in one, "
    "whose sha256 nobody states: docs/tokenizers.md joins them, then give the result with --weights FILE",
)


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], None if name == "tiny" else CHECKPOINT
    steps = config.speaker.steps
    side = Codebook(math.prod(steps), rate=0, role="timbre", table="speaker", levels=steps)
    spec = Spec(
        name="bicodec",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / HOP, role="semantic"),),
        side=(side,) * config.speaker.vectors,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2503.01710, https://github.com/SparkAudio/Spark-TTS",
        licence="CC-BY-NC-SA-4.0" if checkpoint else "",
        keeps_level=False,
    )
    loader = cast(Callable[..., Tokenizer], load)  # it is a bench.api.SideTokenizer
    return Variant(spec, loader, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
