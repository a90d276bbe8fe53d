"""SpectroStream (Li et al. 2025, arxiv.org/abs/2508.05207): music in stereo at 48 kHz, up to 16 kbit/s, by 2-D convolutions over spectra.

The codec of Google's Magenta RealTime. wav [B, 2, T] -> complex spectra of 480 bins every 10 ms -> 25 frames per second -> up to 64
codebooks of 1,024, each of what the ones before it left. The convolutions are causal: it streams, and yet a frame hears 10 ms of the next
one, the second half of its last spectrum, and its audio waits for the frame after it. Decoding a clip, the authors' code therefore gives
one frame less; here a frame of zeros, with which their stream ends, comes after the last one. Where T is no whole number of frames, the
zeros that fill the last one are values within the network, as theirs are, not samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.checks import require_codes, require_wav
from bench.nn.conv import Memory
from bench.nn.quantize import ResidualQuantizer
from bench.nn.random_weights import SCALE, loud_and_quiet
from bench.nn.spectral import Decoder, Encoder, SpectralNet, windows
from bench.nn.stream import FrameStream, in_pieces
from bench.weights.files import filled_or_drawn, renamed_by, seeded

RATE = 48_000
PIECE = 12  # frames at a time on a CPU: what one layer writes the next one finds in the cache
NOTHING = -1  # in place of codes: the frame of zeros after the last one


@dataclass(frozen=True)
class Config:
    """All numbers of a codec of this kind."""

    network: SpectralNet = SpectralNet()
    levels: int = 64
    size: int = 1024


OFFICIAL = Config()
TINY = Config(SpectralNet(width=4, decoder_width=4, dimension=16), levels=4, size=64)
CODEBOOKS = {"4kbps": 16, "3kbps": 12, "8kbps": 32, "16kbps": 64}  # Magenta RealTime speaks the first 16, its second version the first 12


class SpectroStream(nn.Module):
    """The codec, of clips and of streams."""

    def __init__(self, spec: Spec, config: Config):
        super().__init__()
        self.spec, self.shape = spec, config.network
        self.encoder, self.decoder = Encoder(config.network), Decoder(config.network)
        self.quantizer = ResidualQuantizer(config.levels, config.size, config.network.dimension, width=0)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 2, T], T >= 1 -> codes [B, K, ceil(T / 1920)]."""
        require_wav(wav, self.shape.channels)
        return self._codes(F.pad(wav, (0, self.shape.step)))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, F] -> wav [B, 2, 1920 F]."""
        require_codes(codes, len(self.spec.codebooks), least=1)
        return self._audio(F.pad(codes, (0, 1), value=NOTHING))

    def stream_encoder(self) -> FrameStream:
        """wav pieces [B, 2, n] -> codes [B, K, m]."""
        empty = torch.zeros(1, len(self.spec.codebooks), 0, dtype=torch.int64, device=self._device)
        return FrameStream(self._codes, self.shape.hop, empty, fill=False, ahead=self.shape.step)

    def stream_decoder(self) -> FrameStream:
        """codes [B, K, m] -> wav pieces [B, 2, n]."""
        return FrameStream(self._audio, 1, torch.zeros(1, self.shape.channels, 0, device=self._device), ahead=1, blank=NOTHING)

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def latents(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        """wav [B, 2, T + 480] -> [B, D, ceil(T / 1920)] before quantization."""
        return in_pieces(self.encoder, windows(wav, self.shape.step), PIECE * self.shape.rows, memory)

    def synthesis(self, latents: Tensor, memory: Memory | None = None) -> Tensor:
        """Quantized latents [B, D, n] -> wav [B, 2, 1920 n], at the start of a signal 1920 less."""
        return in_pieces(self.decoder, latents, PIECE, memory)

    def _codes(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        return self.quantizer.encode(self.latents(wav, memory), len(self.spec.codebooks))

    def _audio(self, codes: Tensor, memory: Memory | None = None) -> Tensor:
        """codes [B, K, m + 1] -> wav [B, 2, 1920 m]; after the start, the first frame is in the memory already."""
        codes = codes[..., 1:] if memory else codes
        there = codes[:, :1] != NOTHING
        return self.synthesis(self.quantizer.decode(codes.clamp(min=0)) * there, memory)


NAMES = (  # pattern in the authors' files -> here
    (r"^params/", ""),
    (r"/", "."),
    (r"(?:\.conv)?\.kernel$", ".weight"),
    (r"\.conv\.bias$", ".bias"),
    (r"\.base_conv_(first|last)\.", r".\1."),
    (r"^decoder\.output_layer\.", "decoder."),
    (r"^decoder\.input_layers_residual_unit\.conv2d_3x3_a\.", "decoder.bottleneck.first."),
    (r"^decoder\.input_layers_residual_unit\.conv2d_3x3\.", "decoder.bottleneck.second."),
    (r"\.(?:encoder|decoder)_(\d+)\.", r".stages.\1."),
    (r"^(encoder\..*)\.conv2d_3x3\.", r"\1.first."),
    (r"^(encoder\..*)\.conv2d_\dx\d_a\.", r"\1.second."),
    (r"^(decoder\..*)\.conv2dtranspose_\dx\d\.", r"\1.first."),
    (r"^(decoder\..*)\.conv2d_3x3\.", r"\1.second."),
    (r"\.(?:output_convs|input_layer)\.", ".ends."),
    (r"\.conv1x1_(?:first|last)\.", ".straight."),
    (r"\.shortcut_layer\.conv1x1_b1\.", ".inner."),
    (r"\.shortcut_layer\.conv1x1_b2\.", ".outer."),
    (r"\.shortcut_layer\.conv1x1\.", ".shortcut."),
)
BOOKS = "params/quantizer/embedding"


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the authors' files, kernels [height, width, in, out], under our names and in our order."""
    result = {renamed_by(NAMES, name): _ours(name, value) for name, value in state.items() if name != BOOKS}
    for level, book in enumerate(state.get(BOOKS, ())):
        stem = f"quantizer.layers.{level}."
        result |= {f"{stem}embedding_sum": book, f"{stem}cluster_usage": torch.ones(len(book)), f"{stem}initialized": torch.ones(1)}
    return result


def _ours(name: str, value: Tensor) -> Tensor:
    if not name.endswith("/kernel") or value.ndim != 4:
        return value
    if "/conv1x1" in name:
        return value.flatten(0, 2).T  # a matrix
    return value.flip(0, 1).permute(2, 3, 0, 1) if "/conv2dtranspose_" in name else value.permute(3, 2, 0, 1)


def load(spec: Spec, path: Path | None = None) -> SpectroStream:
    """The codec of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    return made(spec, TINY if spec.variant == "tiny" else OFFICIAL, path)


def made(spec: Spec, config: Config, path: Path | None) -> SpectroStream:
    """A codec of any size."""
    return filled_or_drawn(SpectroStream(spec, config), spec, path, renamed, draw)


@torch.no_grad()
def draw(model: SpectroStream, seed: int) -> None:
    """Random weights, with codebooks around the latents of bright and of dull noise, and quiet audio."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    bright = torch.cat([loud_and_quiet(model.shape.hop, generator) for _ in range(model.shape.channels)], dim=1)
    dull = 4 * F.avg_pool1d(bright, 65, 1, 32)
    latents = model.latents(F.pad(torch.cat([bright, dull], dim=-1), (0, model.shape.step)))
    model.quantizer.scatter(latents, generator, spread=0.8)
    loud = model.synthesis(latents)
    for value in model.decoder.last.parameters():
        value.mul_(SCALE / loud.std())


CHECKPOINT = Checkpoint(
    "spectrostream.safetensors",
    cure="spectrostream wants encoder.safetensors and decoder.safetensors of https://huggingface.co/google/magenta-realtime-2 (resources/"
    "spectrostream) in one file: docs/tokenizers.md joins them, then give the result with --weights FILE",
)


def variant(name: str, config: Config, levels: int) -> Variant:
    """A line of VARIANTS: the first `levels` codebooks."""
    checkpoint = CHECKPOINT if config is OFFICIAL else None
    spec = Spec(
        name="spectrostream",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / config.network.hop),) * levels,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        channels=config.network.channels,
        source="https://arxiv.org/abs/2508.05207, https://github.com/magenta/magenta-realtime",
        licence="CC-BY-4.0" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {**{name: variant(name, OFFICIAL, levels) for name, levels in CODEBOOKS.items()}, "tiny": variant("tiny", TINY, 4)}
