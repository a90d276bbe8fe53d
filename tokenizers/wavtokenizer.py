"""WavTokenizer (Ji et al. 2024, arxiv.org/abs/2408.16532): one codebook of 4,096 codes, 75 or 40 per second, for speech and music.

wav [B, 1, T] -> EnCodec's convolutions and LSTM, here centred -> the nearest code [B, 1, ceil(T / hop)] -> Vocos with attention over the
whole clip. A broken last frame is mirrored, not filled up with zeros, and the decoder's norms see the whole clip: clips of different
lengths do not share a batch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from bench.api import Checkpoint, Codebook, Spec, TrainedHere, Variant
from bench.nn import encodec_names
from bench.nn.attentive_vocos import AttentiveVocos
from bench.nn.latent_codec import LatentCodec
from bench.nn.quantize import ResidualQuantizer
from bench.nn.seanet_lstm import SEANetLSTM
from bench.nn.stream import few_at_once
from bench.nn.vocos import Vocos
from bench.weights.files import filled_or_drawn, fold_weight_norm, renamed_by, seeded

FRAMES = 1500  # that a CPU decodes at once, of clips that are shorter: measured fastest of 750 to 6,000


class Encoding(Protocol):
    """The shape of a network wav [B, 1, T] -> latents [B, dimension, ceil(T / hop)]."""

    @property
    def hop(self) -> int: ...
    @property
    def dimension(self) -> int: ...
    def encoder(self) -> nn.Module: ...


class Decoding(Protocol):
    """The shape of a network latents [B, D, F] -> wav [B, 1, F * hop]."""

    def decoder(self) -> nn.Module: ...


@dataclass(frozen=True)
class Config:
    """All numbers of a WavTokenizer."""

    encoding: Encoding
    decoding: Decoding
    size: int = 4096
    sample_rate: int = 24_000


def official(*ratios: int) -> Config:
    """The authors' configuration whose frames are the product of `ratios` long."""
    encoding = SEANetLSTM(dimension=512, ratios=ratios, causal=False, normed=False)
    return Config(encoding, AttentiveVocos(step=encoding.hop))


TINY = Config(
    SEANetLSTM(filters=4, dimension=16, causal=False, normed=False),
    AttentiveVocos(dimension=16, width=32, hidden=64, layers=2, groups=4),
    size=64,
)
MINI = Config(Vocos(dimension=64, step=320, stride=1, encoder_layers=3), AttentiveVocos(dimension=64, width=256, hidden=768, layers=4))
CONFIGS = {"mini": MINI, "75tps": official(8, 5, 4, 2), "40tps": official(6, 5, 5, 4), "tiny": TINY}


class WavTokenizer(LatentCodec[ResidualQuantizer]):
    """The codec."""

    def __init__(self, config: Config, spec: Spec):
        quantizer = ResidualQuantizer(1, config.size, config.encoding.dimension, width=0)
        super().__init__(spec, config.encoding.encoder(), quantizer, config.decoding.decoder(), config.encoding.hop, whole=False)
        self.config = config

    def _decode(self, codes: Tensor) -> Tensor:
        return few_at_once(super()._decode, codes, FRAMES)


UNUSED = re.compile(  # discriminators, losses, and what decoding does without: EnCodec's own decoder, a window that is known
    r"^(?:multiperioddisc|multiresddisc|dac|dacdiscriminator|melspec_loss|feature_extractor\.encodec\.decoder)\.|^head\.istft\.window$"
)
NAMES = (  # pattern in a checkpoint of the authors' code -> here, or in one of EnCodec's
    (r"^feature_extractor\.encodec\.", ""),
    (r"^backbone\.(?=embed\.)", "decoder."),
    (r"^backbone\.pos_net\.", "decoder.positions."),
    (r"^backbone\.norm\.", "decoder.stack.norm1."),
    (r"^backbone\.convnext\.", "decoder.stack.layers."),
    (r"^backbone\.final_layer_norm\.", "decoder.stack.norm2."),
    (r"^head\.out\.", "decoder.head.linear."),
    (r"\.dwconv\.", ".depthwise."),
    (r"\.pwconv(\d)\.", r".linear\1."),
    (r"\.gamma$", ".scale"),
    (r"\.proj_out\.", ".out_proj."),
)
ADAPTIVE = {"scale.weight": "weight", "shift.weight": "bias"}  # of a norm, one row for each of four bandwidths
BANDWIDTH = 0  # the one that the authors decode with; in training all four meant the same


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the authors' class under our names, weight norm folded; a name of ours stays."""
    result = {}
    for name, value in fold_weight_norm({name: value for name, value in state.items() if not UNUSED.match(name)}).items():
        name = renamed_by(NAMES, name)
        for theirs, ours in ADAPTIVE.items():
            if name.endswith(f".{theirs}"):
                name, value = name.removesuffix(theirs) + ours, value[BANDWIDTH]
        result[name] = value.squeeze(-1) if name.endswith(".out_proj.weight") else value
    for name in [name for name in result if re.search(r"\.positions\.\d+\.q\.", name)]:
        parts = [result.pop(name.replace(".q.", f".{part}.")).squeeze(-1) for part in "qkv"]
        result[name.replace(".q.", ".in_proj.")] = torch.cat(parts)
    return encodec_names.renamed(result)


def load(spec: Spec, path: Path | None = None) -> WavTokenizer:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    model = WavTokenizer(CONFIGS[configuration(spec.variant)], spec)
    return filled_or_drawn(model, spec, path, renamed, draw)


@torch.no_grad()
def draw(model: WavTokenizer, seed: int) -> None:
    """Random weights, with the codebook around the latents of noise: otherwise everything would get the same few codes."""
    generator, hop = torch.Generator().manual_seed(seed), model.config.encoding.hop
    seeded(model, generator)
    for name, value in model.named_parameters():
        if ".bias_" in name:  # of an LSTM
            value.zero_()
    loudness = torch.rand(1, 1, 200, generator=generator).repeat_interleave(hop // 2, dim=-1)
    model.quantizer.scatter(model.latents(loudness * torch.randn(loudness.shape, generator=generator)), generator)


def configuration(variant: str) -> str:
    """The configuration that a variant's name names: `large-speech-75tps-v1` is `75tps`."""
    found = re.search(r"\d+tps", variant)
    return found[0] if found else variant


def released(repository: str, revision: str, file: str, sha256: str) -> Checkpoint:
    """A file of the authors' repositories."""
    return Checkpoint(file, sha256, f"https://huggingface.co/novateur/{repository}/resolve/{revision}/{file}")


MINI_WEIGHTS = Checkpoint("wavtokenizer_mini.safetensors", "e04d9403ffbaec1cd1af9d25fb2509a5d675ef3896564dd0a2ce9c8643e24321")
CHECKPOINTS = {  # they differ in what they were trained on: small on LibriTTS, medium on 10,000 hours, large on 80,000
    "large-speech-75tps": released(
        "WavTokenizer-large-speech-75token",
        "main",  # no revision that holds it could be found: the digest alone pins it
        "wavtokenizer_large_speech_320_v2.ckpt",
        "5dd430d5f0d96e2313babb1b896d0f990b65bfd143b2894fc3851cfc3cca9846",
    ),
    "large-speech-75tps-v1": released(  # what most work of 2024 used; no longer in the newest revision
        "WavTokenizer-large-speech-75token",
        "1cc9faee31025548fbae6ffe11115d7207093638",
        "wavtokenizer_large_speech_320_24k.ckpt",
        "7450020c154f6aba033cb8651466cb79cb1b1cdd10ea64eaba68e7871cabcc5a",
    ),
    "large-unify-40tps": released(
        "WavTokenizer-large-unify-40token",
        "7dc47a9450ce71cab736434b7645604013ca028b",
        "wavtokenizer_large_unify_600_24k.ckpt",
        "72182c1b6bd5ea7f84cf3ec78a0a3244cf42daa660b2e9bce23f5d74064d8205",
    ),
    "medium-speech-75tps": released(
        "WavTokenizer-medium-speech-75token",
        "8858552e69270816d6aeb37bfcf3b770769d4899",
        "wavtokenizer_medium_speech_320_24k_v2.ckpt",
        "633cc3b5b4b008318df15c995218a7820df52c74873bc8c9343be1d3a3184d78",
    ),
    "medium-speech-75tps-v1": released(
        "WavTokenizer-medium-speech-75token",
        "8858552e69270816d6aeb37bfcf3b770769d4899",
        "wavtokenizer_medium_speech_320_24k.ckpt",
        "821884472b77b65f8fbdbc8f46f547bbe3ce326ad6a217b6c72ea27439b3ed15",
    ),
    "medium-music-75tps": released(
        "WavTokenizer-medium-music-audio-75token",
        "1bcbe86db88fc1f1f86c7ea192e791b3ede17da2",
        "wavtokenizer_medium_music_audio_320_24k_v2.ckpt",
        "",  # published nowhere that could be found: it is read from --weights PATH only
    ),
    "small-75tps": released(
        "WavTokenizer",
        "adf8c68f4536d319b6f25739f1bbd90a34520fa7",
        "WavTokenizer_small_320_24k_4096.ckpt",
        "721a204fcfadf720b1136660b466c53d482c63fdfcaa0ac2a824bf2a006217b6",
    ),
    "small-40tps": released(
        "WavTokenizer",
        "4ac7513e260f89566fe196dcbb7aaf97f87ccafa",
        "WavTokenizer_small_600_24k_4096.ckpt",
        "d44c40fbb83d2d42329ac098e252a31b5708fb7b3bf864d108dd3ed26911d004",
    ),
}


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[configuration(name)], MINI_WEIGHTS if name == "mini" else CHECKPOINTS.get(name)
    spec = Spec(
        name="wavtokenizer",
        variant=name,
        sample_rate=config.sample_rate,
        codebooks=(Codebook(config.size, config.sample_rate / config.encoding.hop),),
        weights=f"sha256:{checkpoint.sha256}" if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2408.16532, https://github.com/jishengpeng/WavTokenizer",
        licence="MIT" if checkpoint else "",
        trained_here=TrainedHere(0.9, "wavtokenizer@large-speech-75tps") if name == "mini" else None,
    )
    return Variant(spec, load, checkpoint)


VARIANTS: dict[str, Variant] = {name: variant(name) for name in ("mini", *CHECKPOINTS, "tiny")}
