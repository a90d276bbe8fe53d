"""SoundStream (Zeghidour et al. 2021, arxiv.org/abs/2107.03312): the first residual-quantized neural codec, in the paper's configuration.

wav [B, 1, T] at 24 kHz -> codes [B, K, ceil(T / 320)], 75 frames per second, up to 24 codebooks of 1,024 (18 kbps), causal, streaming. Its
authors published neither code nor weights (lyra has those of the codec that grew from it), so the variants named by a rate are untrained:
they give the codec's speed and size. `trained` takes the weights that `bench train soundstream` makes. The paper does not state the width
of the latents; 256 is this project's choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.conv import Memory
from bench.nn.latent_codec import LatentCodec
from bench.nn.quantize import ResidualQuantizer
from bench.nn.seanet import SEANet
from bench.nn.stream import FrameStream, in_pieces
from bench.weights.files import filled_or_drawn, seeded

RATE = 24_000
PIECE = 50  # frames at a time on a CPU: what one layer writes the next one finds in the cache
LEVELS = {"6kbps": 8, "3kbps": 4, "18kbps": 24}


@dataclass(frozen=True)
class Config:
    """All numbers of a SoundStream. Three residual units per stage, with dilations 1, 3 and 9, and no bottleneck in them."""

    waveform: SEANet
    levels: int
    size: int


def seanet(filters: int, dimension: int) -> SEANet:
    """The paper's networks with that many filters."""
    return SEANet(filters, dimension, (8, 5, 4, 2), residual_kernel=7, residual_layers=3, dilation_base=3, compress=1)


OFFICIAL = Config(seanet(filters=32, dimension=256), levels=max(LEVELS.values()), size=1024)
TRAINED = replace(OFFICIAL, levels=8)  # 6 kbps, as the paper trains it; its quantizer dropout makes fewer good as well
TINY = Config(seanet(filters=4, dimension=16), levels=4, size=64)
CONFIGS = {"trained": TRAINED, "tiny": TINY}


class SoundStream(LatentCodec[ResidualQuantizer]):
    """The codec, of clips and of streams."""

    def stream_encoder(self) -> FrameStream:
        """wav pieces [B, 1, n] -> codes [B, K, m]."""
        empty = torch.zeros(1, len(self.spec.codebooks), 0, dtype=torch.int64, device=self._device)
        return FrameStream(self._codes, self.hop, empty)

    def stream_decoder(self) -> FrameStream:
        """codes [B, K, m] -> wav pieces [B, 1, m * hop]."""
        return FrameStream(self._audio, 1, torch.zeros(1, 1, 0, device=self._device))

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def latents(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        """wav [B, 1, n * hop] -> [B, D, n] before quantization."""
        return in_pieces(self.encoder, wav, PIECE * self.hop, memory)

    def synthesis(self, latents: Tensor, memory: Memory | None = None) -> Tensor:
        """Quantized latents [B, D, n] -> wav [B, 1, n * hop]."""
        return in_pieces(self.decoder, latents, PIECE, memory)

    def _codes(self, wav: Tensor, memory: Memory) -> Tensor:
        return self.quantizer.encode(self.latents(wav, memory), len(self.spec.codebooks))

    def _audio(self, codes: Tensor, memory: Memory) -> Tensor:
        return self.synthesis(self.quantizer.decode(codes), memory)


@torch.no_grad()
def load(spec: Spec, path: Path | None = None) -> SoundStream:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS.get(spec.variant.split("-")[0], OFFICIAL)
    shape = config.waveform
    quantizer = ResidualQuantizer(config.levels, config.size, shape.dimension, width=0)
    model = SoundStream(spec, shape.encoder(), quantizer, shape.decoder(), shape.hop, whole=True)
    return filled_or_drawn(model, spec, path, dict, draw)


def draw(model: SoundStream, seed: int) -> None:
    """Random weights, with codebooks around the latents of noise."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    model.quantizer.scatter(model.latents(torch.randn(1, 1, 100 * model.hop, generator=generator)), generator)


CURE = "nobody published weights of SoundStream: `bench train soundstream --data DATA --out DIR` makes some; give them with --weights FILE"


def variant(name: str, config: Config, levels: int) -> Variant:
    """A line of VARIANTS: the first `levels` codebooks."""
    checkpoint = Checkpoint("soundstream.safetensors", "", cure=CURE) if config is TRAINED else None
    spec = Spec(
        name="soundstream",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / config.waveform.hop),) * levels,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        causal=True,
        source="https://arxiv.org/abs/2107.03312",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {
    **{name: variant(name, OFFICIAL, levels) for name, levels in LEVELS.items()},
    "trained": variant("trained", TRAINED, TRAINED.levels),
    "trained-3kbps": variant("trained-3kbps", TRAINED, 4),
    "tiny": variant("tiny", TINY, 4),
}
