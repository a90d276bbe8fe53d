"""SoundStream (Zeghidour et al. 2021, arxiv.org/abs/2107.03312): the first residual-quantized neural codec, in the paper's configuration.

wav [B, 1, T] at 24 kHz -> codes [B, K, ceil(T / 320)], 75 frames per second, up to 24 codebooks of 1,024 (18 kbps), causal, streaming. Its
authors published neither code nor weights (lyra has those of the codec that grew from it), so all variants are untrained: they give the
codec's speed and size. The paper does not state the width of the latents; 256 is this project's choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import Codebook, Spec, Variant
from bench.nn.conv import Memory
from bench.nn.latent_codec import LatentCodec
from bench.nn.quantize import ResidualQuantizer
from bench.nn.seanet import SEANet
from bench.nn.stream import FrameStream, in_pieces
from bench.weights.files import seed_of, seeded

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
TINY = Config(seanet(filters=4, dimension=16), levels=4, size=64)


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
def load(spec: Spec) -> SoundStream:
    """The model of a variant, with weights drawn from the seed that the spec names."""
    config = TINY if spec.variant == "tiny" else OFFICIAL
    shape, generator = config.waveform, torch.Generator().manual_seed(seed_of(spec))
    quantizer = ResidualQuantizer(config.levels, config.size, shape.dimension, width=0)
    model = SoundStream(spec, shape.encoder(), quantizer, shape.decoder(), shape.hop, whole=True)
    seeded(model, generator)
    quantizer.scatter(model.latents(torch.randn(1, 1, 100 * shape.hop, generator=generator)), generator)
    return model.eval()


def variant(name: str, config: Config, levels: int) -> Variant:
    """A line of VARIANTS: the first `levels` codebooks."""
    spec = Spec(
        name="soundstream",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / config.waveform.hop),) * levels,
        weights="seed:0",
        causal=True,
        source="https://arxiv.org/abs/2107.03312",
    )
    return Variant(spec, load)


VARIANTS = {
    **{name: variant(name, OFFICIAL, levels) for name, levels in LEVELS.items()},
    "tiny": variant("tiny", TINY, 4),
}
