"""GLM-4-Voice's speech tokens (Zeng et al. 2024, arxiv.org/abs/2412.02612): encode only, 12.5 codes per second.

wav [B, 1, T] at 16 kHz -> the first 16 layers of Whisper-large-v3's encoder, trained again with causal convolutions and attention by
blocks of 4 s -> the mean of each 4 frames -> the nearest of 16,384 vectors -> codes [B, 1, ceil(T / 1280)]. Clips above 30 s are cut into
pieces of 30 s, each coded for itself. Speech is made of the codes by a flow model, which is not here. Kimi-Audio hears by these codes, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.kmeans import Units
from bench.nn.whisper import HOP, RATE, LogMel, WhisperEncoder, WhisperShape
from bench.weights.files import fill, load_state, renamed_by, seed_of, seeded

POOL = 4  # frames to a code
PIECE = 30 * RATE  # samples that are coded at once


@dataclass(frozen=True)
class Config:
    """All numbers of a variant."""

    encoder: WhisperShape
    size: int = 16_384  # vectors of the codebook

    @property
    def hop(self) -> int:
        """Samples to a code."""
        return self.encoder.hop * POOL


CONFIGS = {
    "12.5hz": Config(WhisperShape(layers=16, causal=True, block=200)),
    "tiny": Config(WhisperShape(dimension=64, heads=2, layers=2, causal=True, block=20), 100),
}


class Features(nn.Module):
    """wav [B, 1, T] -> features [B, ceil(T / hop), D]."""

    def __init__(self, config: Config):
        super().__init__()
        self.spectra, self.encoder, self.hop = LogMel(config.encoder.mels), WhisperEncoder(config.encoder), config.hop

    def forward(self, wav: Tensor) -> Tensor:
        samples = wav.shape[-1]
        # the authors fill the pieces of a clip up to the longest one before they take spectra: its end is not mirrored but silent
        room = PIECE if samples > PIECE else samples + -samples % self.hop
        return torch.cat([self.piece(part, room) for part in wav.split(PIECE, dim=-1)], dim=1)

    def piece(self, wav: Tensor, room: int) -> Tensor:
        """At most 30 s, filled up with zeros to `room` samples."""
        samples = wav.shape[-1]
        codes = -(-samples // self.hop)
        spectra = self.spectra(F.pad(wav, (0, room - samples)))[..., : codes * self.hop // HOP]
        frames = self.encoder(spectra, heard=-(-samples // self.encoder.shape.hop))
        return frames.unflatten(1, (codes, POOL)).mean(2)


NAMES = (  # pattern in a state dict of the authors' class -> here
    (r"^model\.encoder\.", ""),
    (r"^embed_positions\.weight$", "positions"),
    (r"\.self_attn\.out_proj\.", ".out_proj."),
    (r"\.self_attn_layer_norm\.", ".norm1."),
    (r"\.final_layer_norm\.", ".norm2."),
    (r"\.fc([12])\.", r".linear\1."),
    (r"^(conv|positions|layers\.)", r"features.encoder.\1"),
    (r"^codebook\.weight$", "centroids"),
)
BESIDE = ("embed_positions2.weight", "ema_count", "ema_weight")  # for training, and for the layers after the codes


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the authors' class under our names. Its keys have no bias."""
    result = {renamed_by(NAMES, name): value for name, value in state.items() if not name.endswith(BESIDE)}
    for name in [name for name in result if name.endswith(".self_attn.q_proj.weight")]:
        stem = name.removesuffix("self_attn.q_proj.weight")
        result[f"{stem}in_proj.weight"] = torch.cat([result.pop(f"{stem}self_attn.{part}_proj.weight") for part in "qkv"])
        q, v = (result.pop(f"{stem}self_attn.{part}_proj.bias") for part in "qv")
        result[f"{stem}in_proj.bias"] = torch.cat([q, torch.zeros_like(q), v])
    return result


def load(spec: Spec, path: Path | None = None) -> Units:
    """The tokenizer of a variant, with the weights of the file at `path`, or drawn from the spec's seed."""
    return made(spec, CONFIGS[spec.variant], path)


def made(spec: Spec, config: Config, path: Path | None) -> Units:
    """A tokenizer of any size."""
    model = Units(spec, Features(config), config.encoder.dimension)
    if path is None:
        seeded(model, torch.Generator().manual_seed(seed_of(spec)))
        model.sow(seed_of(spec), RATE)
    else:
        fill(model, renamed(load_state(path)), path)
        model.set_centroids(model.centroids.clone())
    return model.eval()


CHECKPOINTS = {  # its sha256 is published nowhere that could be found: it is read from --weights PATH only
    "12.5hz": Checkpoint(
        "glm-4-voice-tokenizer.safetensors", "", "https://huggingface.co/zai-org/glm-4-voice-tokenizer/resolve/main/model.safetensors"
    ),
}


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], CHECKPOINTS.get(name)
    spec = Spec(
        name="glm4_voice",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / config.hop, "semantic"),),
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        decodes=False,
        source="https://arxiv.org/abs/2412.02612, https://github.com/THUDM/GLM-4-Voice",
        licence="GLM-4" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
