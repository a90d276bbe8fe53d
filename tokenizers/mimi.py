"""Mimi (Défossez et al. 2024, arxiv.org/abs/2410.00037): a causal codec with 12.5 frames per second and a split residual quantizer.

wav [B, 1, T] at 24 kHz -> waveform encoder (25 Hz) -> transformer -> half the rate -> 1 + (K - 1) codebooks, and the mirrored decoder.
T is filled up with zeros to whole frames of 1,920 samples before the first layer, as the authors' code does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, TrainedHere, Variant
from bench.nn.checks import require_codes, require_wav
from bench.nn.conv import CausalConv1d, CausalConvTranspose1d, Memory
from bench.nn.mimi_names import renamed
from bench.nn.quantize import SplitQuantizer
from bench.nn.seanet import SEANet
from bench.nn.stream import FrameStream, in_pieces
from bench.nn.transformer import Transformer, TransformerShape
from bench.nn.vocos import Vocos
from bench.weights.files import filled_or_drawn, seeded

PIECE = 16  # frames of waveform layers at a time on a CPU: 1.3 s, measured fastest of 1 to 32 and a third faster than all at once


class Waveform(Protocol):
    """A pair of causal networks: encoder(wav [B, 1, n * hop], memory) -> latents [B, dimension, n], decoder(latents, memory) -> wav."""

    @property
    def hop(self) -> int: ...
    @property
    def dimension(self) -> int: ...
    def encoder(self) -> nn.Module: ...
    def decoder(self) -> nn.Module: ...


@dataclass(frozen=True)
class Config:
    """All numbers of a Mimi."""

    waveform: Waveform
    transformer: TransformerShape  # the same shape on both sides; layers=0 for none
    levels: int = 32
    size: int = 2048
    first_size: int = 2048  # of the first codebook
    dimension: int = 256  # of the codebooks' vectors
    beam: int = 1  # sequences of codes that encoding follows
    stride: int = 2  # from the waveform encoder's rate to the frame rate
    sample_rate: int = 24_000
    channel_wise_upsample: bool = True  # the released weights need it, though the mixing downsample suggests a mixing upsample

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.waveform.hop * self.stride


OFFICIAL = Config(SEANet(), TransformerShape())
MINI = Config(
    Vocos(dimension=256, hidden=512, encoder_layers=1, decoder_layers=4),
    TransformerShape(256, layers=2, heads=4, feedforward=512, context=32, layer_scale=0.1),
    levels=9,
    size=1024,
    first_size=256,
    dimension=48,
    beam=8,
)
TINY = Config(
    SEANet(filters=4, dimension=32),
    TransformerShape(32, layers=1, heads=2, feedforward=64, context=16),
    levels=4,
    size=64,
    first_size=64,
    dimension=8,
)


class Mimi(nn.Module):
    """The codec."""

    def __init__(self, config: Config, spec: Spec):
        super().__init__()
        self.config, self.spec = config, spec
        width, stride = config.waveform.dimension, config.stride
        self.encoder, self.decoder = config.waveform.encoder(), config.waveform.decoder()
        self.encoder_transformer, self.decoder_transformer = Transformer(config.transformer), Transformer(config.transformer)
        self.downsample = CausalConv1d(width, width, 2 * stride, stride, bias=False, pad="replicate")
        groups = width if config.channel_wise_upsample else 1
        self.upsample = CausalConvTranspose1d(width, width, 2 * stride, stride, groups=groups, bias=False)
        self.quantizer = SplitQuantizer(config.levels, config.size, config.dimension, width, first_size=config.first_size, beam=config.beam)

    def latents(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        """wav [B, 1, n * hop] -> [B, D, n] before quantization."""
        x = in_pieces(self.encoder, wav, PIECE * self.config.hop, memory)
        return self.downsample(self.encoder_transformer(x, memory), memory)

    def synthesis(self, latents: Tensor, memory: Memory | None = None) -> Tensor:
        """Quantized latents [B, D, n] -> wav [B, 1, n * hop]."""
        x = self.decoder_transformer(self.upsample(latents, memory), memory)
        return in_pieces(self.decoder, x, PIECE * self.config.stride, memory)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> codes [B, K, ceil(T / hop)]."""
        require_wav(wav)
        return self._encode(F.pad(wav, (0, -wav.shape[-1] % self.config.hop)))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, n] -> wav [B, 1, n * hop]."""
        require_codes(codes, len(self.spec.codebooks))
        return self._decode(codes)

    def stream_encoder(self) -> FrameStream:
        """wav pieces [B, 1, n] -> codes [B, K, m]."""
        device = self.downsample.weight.device
        empty = torch.zeros(1, len(self.spec.codebooks), 0, dtype=torch.int64, device=device)
        return FrameStream(self._encode, self.config.hop, empty)

    def stream_decoder(self) -> FrameStream:
        """codes [B, K, m] -> wav pieces [B, 1, m * hop]."""
        return FrameStream(self._decode, 1, torch.zeros(1, 1, 0, device=self.downsample.weight.device))

    def _encode(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        return self.quantizer.encode(self.latents(wav, memory), len(self.spec.codebooks))

    def _decode(self, codes: Tensor, memory: Memory | None = None) -> Tensor:
        return self.synthesis(self.quantizer.decode(codes), memory)


def load(spec: Spec, path: Path | None = None) -> Mimi:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    model = Mimi(CONFIGS[spec.variant.split("-")[0]], spec)
    return filled_or_drawn(model, spec, path, lambda state: renamed(state, model.config.transformer.heads), draw)


@torch.no_grad()
def draw(model: Mimi, seed: int) -> None:
    """Random weights, with codebooks around the latents of noise: otherwise everything would get the same few codes."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    loudness = torch.rand(1, 1, 200, generator=generator).repeat_interleave(model.config.hop // 2, dim=-1)
    latents = model.latents(0.5 * loudness * torch.randn(loudness.shape, generator=generator))
    for part in (model.quantizer.rvq_first, model.quantizer.rvq_rest):
        part.scatter(latents, generator)


CONFIGS = {"mini": MINI, "24khz": OFFICIAL, "tiny": TINY}
MINI_WEIGHTS = Checkpoint(
    "mimi_mini.safetensors",
    sha256="53199e58196112fb9a6de0a19b7ac18625a681ebc072c0876362ef899f9a61c6",
)
RELEASED = Checkpoint(
    "mimi-e351c8d8.safetensors",
    sha256="09b782f0629851a271227fb9d36db65c041790365f11bbe5d3d59369cf863f50",
    url="https://huggingface.co/kyutai/moshika-pytorch-bf16/resolve/a49141e28b3d9c947cf9aa5314431e1b11cbd2f5/tokenizer-e351c8d8-checkpoint125.safetensors",
)


def variant(name: str, levels: int, checkpoint: Checkpoint | None = None, licence: str = "") -> Variant:
    """A line of VARIANTS: a configuration with the first `levels` of its codebooks."""
    config = CONFIGS[name.split("-")[0]]
    rate = config.sample_rate / config.hop
    spec = Spec(
        name="mimi",
        variant=name,
        sample_rate=config.sample_rate,
        codebooks=(Codebook(config.first_size, rate), *(Codebook(config.size, rate),) * (levels - 1)),
        weights=f"sha256:{checkpoint.sha256}" if checkpoint else "seed:0",
        causal=True,
        beam=config.beam,
        source="https://arxiv.org/abs/2410.00037, https://github.com/kyutai-labs/moshi",
        licence=licence,
        trained_here=TrainedHere(0.9, "mimi@24khz") if checkpoint == MINI_WEIGHTS else None,
    )
    return Variant(spec, load, checkpoint)


VARIANTS: dict[str, Variant] = {
    "mini": variant("mini", 9, MINI_WEIGHTS, "MIT"),
    **{f"mini-{n}cb": variant(f"mini-{n}cb", n, MINI_WEIGHTS, "MIT") for n in (1, 2, 4)},
    "24khz": variant("24khz", 8, RELEASED, "CC-BY-4.0"),
    **{f"24khz-{n}cb": variant(f"24khz-{n}cb", n, RELEASED, "CC-BY-4.0") for n in (1, 2, 4, 16, 32)},
    "tiny": variant("tiny", 4),
}
HUB_IDS = {"kyutai/mimi": "24khz"}
