"""EnCodec (Défossez et al. 2022, arxiv.org/abs/2210.13438): a convolutional codec with an LSTM and a residual quantizer of up to 32 levels.

24 kHz: wav [B, 1, T] -> codes [B, K, ceil(T / 320)], 75 frames per second. Its layers are causal, but their left padding mirrors the
start of the clip: the first frame hears seven frames, a stream begins to speak after them and then lags by nothing. A broken last frame is
mirrored, too, not filled up with zeros, so a right-padded clip ends in another frame: the spec does not call it causal.
mini: the same frames and codebooks around a lapped transform (bench.nn.lapped), not causal, trained by this project.
32 kHz: that of MusicGen (Copet et al. 2023, arxiv.org/abs/2306.05284): wav [B, 1, T] -> codes [B, 4, ceil(T / 640)], centred convolutions.
48 kHz: wav [B, 2, T] in chunks of 1 s that overlap by 1 %, each divided by its loudness, a float32 among the side codes (bench.nn.chunks).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from bench.api import Checkpoint, Codebook, Spec, TrainedHere, Variant, sha256_of_all
from bench.nn import encodec_names
from bench.nn.checks import require_codes, require_wav
from bench.nn.chunks import Chunks
from bench.nn.conv import Memory
from bench.nn.lapped import Lapped, straighten
from bench.nn.quantize import ResidualQuantizer
from bench.nn.seanet_lstm import SEANetLSTM, draw_biases
from bench.nn.side import WORD, codes_to_floats, floats_to_codes
from bench.nn.stream import FrameStream
from bench.weights.files import filled_or_drawn, fold_weight_norm, seeded

EPSILON = 1e-8  # added to a chunk's loudness


@dataclass(frozen=True)
class Config:
    """All numbers of an EnCodec."""

    waveform: SEANetLSTM | Lapped
    sample_rate: int
    levels: int
    size: int = 1024
    beam: int = 1  # sequences of codes that encoding follows
    chunk: int = 0  # samples coded at a time, each by its own loudness; 0: the whole clip as it is
    stride: int = 0  # samples from one chunk to the next

    @property
    def chunks(self) -> Chunks:
        """The layout of chunked codes."""
        return Chunks(self.chunk, self.stride, self.waveform.hop)


STEREO = {"sample_rate": 48_000, "chunk": 48_000, "stride": 47_520}
CONFIGS = {
    "mini": Config(Lapped(), 24_000, levels=8, beam=8),
    "24khz": Config(SEANetLSTM(), 24_000, levels=32),
    "32khz": Config(SEANetLSTM(filters=64, ratios=(8, 5, 4, 4), causal=False, normed=False, shortcut=False), 32_000, levels=4, size=2048),
    "48khz": Config(SEANetLSTM(channels=2, causal=False), levels=16, **STEREO),
    "tiny_stereo": Config(SEANetLSTM(filters=4, dimension=8, channels=2, causal=False), levels=4, size=64, **STEREO),
    "tiny": Config(SEANetLSTM(filters=4, dimension=16), 24_000, levels=4, size=64),
}


class Networks(nn.Module):
    """The layers that all forms have."""

    def __init__(self, config: Config, spec: Spec):
        super().__init__()
        self.config, self.spec = config, spec
        self.encoder, self.decoder = config.waveform.encoder(), config.waveform.decoder()
        self.quantizer = ResidualQuantizer(config.levels, config.size, config.waveform.dimension, width=0, beam=config.beam)


class Framed(Networks):
    """Those whose codes are all of frames, and their public doors."""

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, C, T] -> codes [B, K, F]."""
        require_wav(wav, self.config.waveform.channels)
        return self._encode(wav)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, F] -> wav [B, C, T']."""
        require_codes(codes, len(self.spec.codebooks), least=1)
        return self._decode(codes)

    def _encode(self, wav: Tensor) -> Tensor:
        raise NotImplementedError

    def _decode(self, codes: Tensor) -> Tensor:
        raise NotImplementedError


class WholeEnCodec(Framed):
    """The codec of whole clips, what training works on."""

    def latents(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> [B, D, ceil(T / hop)] before quantization."""
        return self.encoder(wav)

    def synthesis(self, latents: Tensor) -> Tensor:
        """Quantized latents [B, D, n] -> wav [B, 1, n * hop]."""
        return self.decoder(latents)

    def _encode(self, wav: Tensor) -> Tensor:
        return self.quantizer.encode(self.latents(wav), len(self.spec.codebooks))

    def _decode(self, codes: Tensor) -> Tensor:
        return self.synthesis(self.quantizer.decode(codes))


class EnCodec(Framed):
    """The causal codec, of clips and of streams."""

    def stream_encoder(self) -> FrameStream:
        """wav pieces [B, 1, n] -> codes [B, K, m]."""
        empty = torch.zeros(1, len(self.spec.codebooks), 0, dtype=torch.int64, device=self._device)
        return FrameStream(self._encode, self.config.waveform.hop, empty, first=self._mirrored, fill=False)

    def stream_decoder(self) -> FrameStream:
        """codes [B, K, m] -> wav pieces [B, 1, m * hop]."""
        empty = torch.zeros(1, 1, 0, device=self._device)
        return FrameStream(self._decode, 1, empty, first=self._mirrored)

    @property
    def _mirrored(self) -> int:
        """Frames that the first piece of a stream needs."""
        assert not isinstance(self.config.waveform, Lapped)
        return self.config.waveform.mirrored

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def _encode(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        latents = self.encoder(wav, memory)
        return self.quantizer.encode(latents, len(self.spec.codebooks))

    def _decode(self, codes: Tensor, memory: Memory | None = None) -> Tensor:
        return self.decoder(self.quantizer.decode(codes), memory)


class ChunkedEnCodec(Networks):
    """The codec of chunks, each normalised, with their loudness as side codes."""

    @torch.no_grad()
    def encode(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """wav [B, C, T] -> codes [B, K, F], side codes [B, 2, N] of N chunks."""
        require_wav(wav, self.config.waveform.channels)
        chunks = self.config.chunks
        parts = [wav[..., i * chunks.stride :][..., :length] for i, length in enumerate(chunks.samples(wav.shape[-1]))]
        scales = [self._scale(part) for part in parts]
        codes = self._together(self._encode_chunk, [part / scale[:, None, None] for part, scale in zip(parts, scales, strict=True)])
        return torch.cat(codes, dim=-1), floats_to_codes(torch.stack(scales, -1)[:, None], torch.float32)

    @torch.no_grad()
    def decode(self, codes: Tensor, side: Tensor) -> Tensor:
        """codes [B, K, F], side codes [B, 2, N] -> wav [B, C, T']."""
        require_codes(codes, len(self.spec.codebooks), least=1)
        require_codes(side, len(self.spec.side), least=1)
        chunks = self.config.chunks
        scales = codes_to_floats(side, torch.float32).clamp(0, 1)[:, 0].unbind(-1)  # random codes: the nearest that is a loudness
        parts = self._together(self._decode_chunk, list(codes.split(chunks.split(codes.shape[-1], side.shape[-1]), dim=-1)))
        return chunks.overlap_add([part * scale[:, None, None] for part, scale in zip(parts, scales, strict=True)])

    @staticmethod
    def _together(step: Callable[[Tensor], Tensor], parts: list[Tensor]) -> list[Tensor]:
        """step of every part [B, C, n], those of equal length at once: the LSTM reads its weights as often for one as for all of them."""
        alike = sum(part.shape[-1] == parts[0].shape[-1] for part in parts)
        return [*step(torch.cat(parts[:alike])).chunk(alike), *map(step, parts[alike:])]

    @staticmethod
    def _scale(wav: Tensor) -> Tensor:
        """Loudness [B] of a chunk [B, C, n]."""
        power = wav.double().mean(1).square().mean(-1)  # of the channels' mean; the same bits however threads share the sum
        return (EPSILON + power.sqrt()).float()

    def _encode_chunk(self, wav: Tensor) -> Tensor:
        """Normalised wav [B, C, n], n <= 1 s -> codes [B, K, frames]."""
        return self.quantizer.encode(self.encoder(wav), len(self.spec.codebooks))

    def _decode_chunk(self, codes: Tensor) -> Tensor:
        """codes [B, K, frames] -> normalised wav [B, C, frames * hop]."""
        return self.decoder(self.quantizer.decode(codes))


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the authors' or of transformers' class under our names, weight norm folded; a name of ours stays."""
    return encodec_names.renamed(fold_weight_norm(state))


def load(spec: Spec, path: Path | None = None) -> Framed:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[configuration(spec.variant)]
    model = (ChunkedEnCodec if config.chunk else EnCodec if config.waveform.causal else WholeEnCodec)(config, spec)
    return cast(Framed, filled_or_drawn(model, spec, path, renamed, draw))  # a chunked one is a bench.api.SideTokenizer


@torch.no_grad()
def draw(model: Networks, seed: int) -> None:
    """Random weights, with codebooks around the latents of noise: otherwise everything would get the same few codes."""
    generator, shape = torch.Generator().manual_seed(seed), model.config.waveform
    seeded(model, generator)
    if isinstance(model.config.waveform, Lapped):
        straighten(model.encoder, model.decoder)
    draw_biases(model, generator)
    loudness = torch.rand(1, 1, 200, generator=generator).repeat_interleave(shape.hop // 2, dim=-1)
    noise = torch.randn(1, shape.channels, 100 * shape.hop, generator=generator)
    model.quantizer.scatter(model.encoder(loudness * noise), generator)


def configuration(variant: str) -> str:
    """The configuration that a variant's name names: `24khz-6kbps` is `24khz`."""
    return variant.split("-")[0]


CHECKPOINTS = {
    "mini": Checkpoint("encodec_mini.safetensors", sha256="38b4e9da0149188bfe6c21558b69d01ffd19f1890094b09fd47b85c510abeaee"),
    "24khz": Checkpoint(
        "encodec_24khz-d7cc33bc.th",  # its name holds its digest: it cannot change at its place
        sha256="d7cc33bcf1aad7f2dad9836f36431530744abeace3ca033005e3290ed4fa47bf",
        url="https://dl.fbaipublicfiles.com/encodec/v0/encodec_24khz-d7cc33bc.th",
    ),
    "32khz": Checkpoint(  # MusicGen's, non-commercial; the digest of its file is not published where it could be looked up
        "encodec_32khz.safetensors",
        sha256="",
        url="https://huggingface.co/facebook/encodec_32khz/resolve/main/model.safetensors",
    ),
    "48khz": Checkpoint(
        "encodec_48khz.safetensors",
        sha256="47a15ffbaf7bb76176d0833e10590de0a8988a7848748608cefc36a1c88adfdc",
        url="https://huggingface.co/facebook/encodec_48khz/resolve/c3def8e7185ac8c8efdce6eb8c4a651e487a503e/model.safetensors",
    ),
}


def variant(name: str, levels: int) -> Variant:
    """A line of VARIANTS: a configuration with the first `levels` of its codebooks."""
    config, checkpoint = CONFIGS[configuration(name)], CHECKPOINTS.get(configuration(name))
    rate = config.chunks.rate if config.chunk else 1 / config.waveform.hop
    spec = Spec(
        name="encodec",
        variant=name,
        sample_rate=config.sample_rate,
        codebooks=(Codebook(config.size, config.sample_rate * rate),) * levels,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        channels=config.waveform.channels,
        side=(Codebook(WORD, config.sample_rate / config.stride),) * 2 if config.chunk else (),
        beam=config.beam,
        source="https://arxiv.org/abs/2210.13438, https://github.com/facebookresearch/encodec",
        licence=LICENCES.get(configuration(name), "MIT") if checkpoint else "",
        trained_here=TrainedHere(0.9, "encodec@24khz-6kbps") if configuration(name) == "mini" else None,
    )
    return Variant(spec, load, checkpoint)


LICENCES = {"32khz": "CC-BY-NC-4.0"}  # of weights that are not MIT
LEVELS = {
    "mini": {"3kbps": 4, "1.5kbps": 2, "0.75kbps": 1},
    "24khz": {"6kbps": 8, "1.5kbps": 2, "3kbps": 4, "12kbps": 16, "24kbps": 32},
    "32khz": {"2.2kbps": 4, "1.1kbps": 2, "0.55kbps": 1},
    "48khz": {"3kbps": 2, "6kbps": 4, "12kbps": 8, "24kbps": 16},
}
VARIANTS: dict[str, Variant] = {
    "mini": variant("mini", 8),
    **{f"{name}-{rate}": variant(f"{name}-{rate}", levels) for name, rates in LEVELS.items() for rate, levels in rates.items()},
    "tiny_stereo": variant("tiny_stereo", 4),
    "tiny": variant("tiny", 4),
}
HUB_IDS = {"facebook/encodec_24khz": "24khz-6kbps", "facebook/encodec_48khz": "48khz-6kbps"}
