"""TiCodec (Ren et al. 2024, arxiv.org/abs/2310.00014): what does not change in a clip is sent once, in eight codes.

wav [B, 1, T] at 24 kHz -> codes [B, K, ceil(T / 320)], 75 frames per second, 1, 2 or 4 codebooks of 1,024, and side codes [B, 8, 1] of
1,024 each, 80 bits a clip. The side codes quantize a vector: the mean over the clip of what the encoder's second stage gives. The decoder
adds it to its own second stage. Not causal. T is filled up with zeros to whole frames; the authors' code leaves out what is no whole frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Tokenizer, Variant, sha256_of_all
from bench.nn.checks import require_codes, require_wav
from bench.nn.hifigan import SLOPE, Decoder, Encoder, HifiGan
from bench.nn.quantize import ResidualQuantizer
from bench.nn.quantizers import GroupQuantizer
from bench.nn.random_weights import loud_and_quiet, soften
from bench.weights.files import fill, fold_weight_norm, load_state, renamed_by, seed_of, seeded

RATE = 24_000
SIDE = 8  # codes a clip


@dataclass(frozen=True)
class Config:
    """All numbers of a TiCodec."""

    levels: int
    waveform: HifiGan = HifiGan()
    size: int = 1024
    hidden: int = 64  # channels inside the summary of the clip


CONFIGS = {
    "1cb": Config(1),
    "2cb": Config(2),
    "4cb": Config(4),
    "tiny": Config(2, HifiGan((8, 5, 4), width=128), size=64, hidden=16),
}


class Summary(nn.Module):
    """[B, C, T] -> [B, C, 1]: three convolutions, the mean over time, a linear layer and a batch norm of fixed statistics."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        widths = (width, hidden, hidden, width)
        pairs = [(nn.Conv1d(widths[i], widths[i + 1], 3, padding=1, bias=False), nn.LeakyReLU(SLOPE)) for i in range(3)]
        self.convs = nn.Sequential(*(layer for pair in pairs for layer in pair))
        self.linear, self.norm = nn.Linear(width, width), nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.leaky_relu(self.linear(self.convs(x).mean(2)), SLOPE))[..., None]


class TiCodec(nn.Module):
    """The codec."""

    def __init__(self, spec: Spec):
        super().__init__()
        self.spec, self.config = spec, CONFIGS[spec.variant]
        shape, size = self.config.waveform, self.config.size
        self.encoder, self.decoder = Encoder(shape), Decoder(shape)
        self.summary = Summary(shape.middle_width, self.config.hidden)
        self.quantizer = ResidualQuantizer(self.config.levels, size, shape.width, width=0)
        self.side = GroupQuantizer(SIDE, 1, size, dimension=0, width=shape.middle_width)

    def latents(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """wav [B, 1, T] -> what is quantized: latents [B, D, F] of the frames, and a vector [B, C, 1] of the clip."""
        latents, middle = self.encoder(F.pad(wav, (0, -wav.shape[-1] % self.config.waveform.hop)))
        return latents, self.summary(middle)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """wav [B, 1, T] -> codes [B, K, ceil(T / hop)], side codes [B, 8, 1]."""
        require_wav(wav)
        latents, vector = self.latents(wav)
        return self.quantizer.encode(latents), self.side.encode(vector)

    @torch.no_grad()
    def decode(self, codes: Tensor, side: Tensor) -> Tensor:
        """codes [B, K, F], side codes [B, 8, 1] -> wav [B, 1, F * hop]."""
        require_codes(codes, len(self.spec.codebooks), least=1)
        require_codes(side, SIDE, least=1)
        return self.decoder(self.quantizer.decode(codes), self.side.decode(side))


PARTS = {"encoder": "encoder", "generator": "decoder", "quantizer": "quantizer"}  # of the authors' file -> what our names begin with
UNUSED = "encoder.linear."  # they make it and never call it
NAMES = (  # pattern in those parts -> here; the numbers of residual blocks are mapped in renamed
    (r"^encoder\.GlobalTokenEncoder\.conv\.", "summary.convs."),
    (r"^encoder\.GlobalTokenEncoder\.fn\.0\.", "summary.linear."),
    (r"^encoder\.GlobalTokenEncoder\.fn\.2\.", "summary.norm."),
    (r"^quantizer\.quantizer_modules_globaltokens\.(\d+)\.", r"side.groups.\1.layers.0."),
    (r"^quantizer\.quantizer_modules\.0\.", "quantizer.layers.0."),
    *((rf"^quantizer\.quantizer_modules{level + 1}\.0\.", f"quantizer.layers.{level}.") for level in (1, 2, 3)),
    (r"\.conv_pre\.", ".first."),
    (r"\.conv_post\.", ".last."),
    (r"\.ups\.", ".changes."),
    (r"\.convs1\.", ".first."),
    (r"\.convs2\.", ".second."),
)


def renamed(state: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The authors' state dicts of the three parts under our names, weight norm folded."""
    kernels, result = len(config.waveform.kernels), {}

    def placed(match: re.Match[str]) -> str:
        """Their blocks are one list: those of a stage, then those of the next."""
        stage, block = divmod(int(match[2]), kernels)
        return f".means.{stage}.{'blocks' if match[1] == 'resblocks' else 'norms'}.{block}."

    for name, value in fold_weight_norm(state).items():
        name = re.sub(r"\.(resblocks|normalize)\.(\d+)\.", placed, renamed_by(NAMES, name))
        stem, _, last = name.rpartition(".")
        if last == "weight" and stem.endswith(".embedding"):
            book = stem.removesuffix("embedding")
            result |= {f"{book}embedding_sum": value, f"{book}cluster_usage": torch.ones(len(value)), f"{book}initialized": torch.ones(1)}
        elif not name.startswith(UNUSED):
            result[name] = value
    return result


def load(spec: Spec, path: Path | None = None) -> TiCodec:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    model = TiCodec(spec)
    if path is None:
        draw(model, torch.Generator().manual_seed(seed_of(spec)))
    else:
        fill(model, renamed(load_state(path, PARTS), model.config), path)
    return model.eval()


@torch.no_grad()
def draw(model: TiCodec, generator: torch.Generator) -> None:
    """Random weights, with codebooks around what they quantize of noise, and a last layer that gives audio within full scale."""
    seeded(model, generator)
    model.eval()
    wav = loud_and_quiet(model.config.waveform.hop, generator)
    latents, vector = model.latents(wav)
    model.quantizer.scatter(latents, generator)
    for part, values in zip(model.side.parts(), vector.chunk(SIDE, dim=1), strict=True):
        part.scatter(values + torch.randn(1, values.shape[1], 50, generator=generator) / 10, generator)
    soften(model.decoder.last, lambda: model.decoder(latents, vector))


def released(levels: int) -> Checkpoint:
    """A file of the authors' training script under its name there; no digest of it is published, so it is read from --weights PATH only."""
    return Checkpoint(f"ticodec_1g{levels}r.pt", sha256="", url="https://huggingface.co/y-ren16/TiCodec")


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config = CONFIGS[name]
    checkpoint = None if name == "tiny" else released(config.levels)
    spec = Spec(
        name="ticodec",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / config.waveform.hop),) * config.levels,
        side=(Codebook(config.size, rate=0, role="timbre"),) * SIDE,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2310.00014, https://github.com/y-ren16/TiCodec",
        licence="Apache-2.0" if checkpoint else "",
    )
    loader = cast(Callable[..., Tokenizer], load)  # it is a bench.api.SideTokenizer
    return Variant(spec, loader, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
