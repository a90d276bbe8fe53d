"""S3 tokens, which CosyVoice 1, 2 and 3 speak from (Du et al. 2024, arxiv.org/abs/2407.05407, arxiv.org/abs/2412.10117): encode only.

wav [B, 1, T] at 16 kHz -> log-mel spectra -> a speech recogniser's encoder of Whisper's form -> one code per frame. Version 1: absolute
positions, the nearest of 4,096 vectors to the feature brought to unit length, 50 or 25 codes per second. Versions 2 and 3: rotary
positions and a memory in each layer, eight numbers rounded to -1, 0 or 1, 25 codes per second. T below 400 is filled up with zeros.
Above 30 s, as s3tokenizer does it: windows of 30 s every 26 s, of which 2 s are dropped where two overlap. No decoder: speech is made of
the codes by a flow model that wants a speaker and a prompt besides. The .onnx files are read without running anything in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.checks import require_wav
from bench.nn.kmeans import Units
from bench.nn.mimi_names import interleaved
from bench.nn.whisper import HOP, RATE, WINDOW, LogMel, WhisperEncoder, WhisperShape
from bench.weights import onnx_reader
from bench.weights.files import fill, load_state, renamed_by, seed_of, seeded

LONG, STEP, DROPPED = 3000, 2600, 200  # spectra of a window, to the next window, and left out at each side of an overlap
DIGITS = 8  # numbers of a code, of three values each
REACH = 0.9990000128746033  # times the hyperbolic tangent, before rounding


@dataclass(frozen=True)
class Config:
    """All numbers of a version. `size`: vectors of its codebook; 0: there is none, a code is eight digits."""

    encoder: WhisperShape
    size: int = 0

    @property
    def codes(self) -> int:
        """Values that a code has."""
        return self.size or 3**DIGITS


V2 = WhisperShape(strides=(2, 2), positions=0, memory=31)
CONFIGS = {
    "v2": Config(V2),
    "v1": Config(WhisperShape(), 4096),
    "v1-25hz": Config(WhisperShape(strides=(2, 2)), 4096),
    "v3": Config(replace(V2, layers=12)),
    "tiny": Config(replace(V2, dimension=64, heads=1, layers=2)),
    "tiny_v1": Config(WhisperShape(dimension=64, heads=1, layers=2), 100),
}


class Features(nn.Module):
    """wav [B, 1, T] -> features [B, F, D], of unit length where `unit`."""

    def __init__(self, shape: WhisperShape, unit: bool):
        super().__init__()
        self.spectra, self.encoder, self.unit = LogMel(shape.mels), WhisperEncoder(shape), unit

    def forward(self, wav: Tensor) -> Tensor:
        spectra = self.spectra(F.pad(wav, (0, max(0, WINDOW - wav.shape[-1]))))
        frames = spectra.shape[-1]
        starts = range(0, max(1, frames - DROPPED if frames > LONG else 1), STEP)  # a later window would have no codes of its own
        cut = DROPPED * HOP // self.encoder.shape.hop
        pieces = []
        for start in starts:
            piece = self.encoder(spectra[..., start : start + LONG])
            pieces.append(piece[:, cut * (start > 0) : piece.shape[1] - cut * (start != starts[-1])])
        x = torch.cat(pieces, dim=1)
        return F.normalize(x, dim=-1) if self.unit else x


class DigitUnits(nn.Module):
    """A tokenizer that only encodes: features [B, F, D] -> eight numbers, each rounded to a digit of base 3 -> codes [B, 1, F]."""

    places: Tensor

    def __init__(self, spec: Spec, features: nn.Module, dimension: int):
        super().__init__()
        self.spec, self.features = spec, features
        self.project = nn.Linear(dimension, DIGITS)
        self.register_buffer("places", 3 ** torch.arange(DIGITS), persistent=False)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T], any T >= 1 -> codes [B, 1, F]."""
        require_wav(wav)
        digits = (self.project(self.features(wav)).tanh() * REACH).round().long() + 1
        return (digits * self.places).sum(-1)[:, None]

    def decode(self, codes: Tensor) -> Tensor:
        """There is none: the authors publish no way back from the digits."""
        raise ValueError(f"{self.spec.label} gives tokens only and cannot decode")


NAMES = (  # pattern in a state dict of s3tokenizer's classes -> here
    (r"^encoder\.positional_embedding$", "encoder.positions"),
    (r"^encoder\.blocks\.", "encoder.layers."),
    (r"\.attn_ln\.", ".norm1."),
    (r"\.mlp_ln\.", ".norm2."),
    (r"\.mlp\.0\.", ".linear1."),
    (r"\.mlp\.2\.", ".linear2."),
    (r"\.attn\.out\.", ".out_proj."),
    (r"\.attn\.fsmn_block\.", ".memory."),
    (r"^encoder\.", "features.encoder."),
    (r"^quantizer\._codebook\.project_down\.", "project."),
    (r"^quantizer\._codebook\.embed$", "centroids"),
)


def renamed(state: dict[str, Tensor], shape: WhisperShape) -> dict[str, Tensor]:
    """A state dict of s3tokenizer's classes under our names. Its keys have no bias; it turns halves of a head, we turn neighbours."""
    result = {renamed_by(NAMES, name): value for name, value in state.items()}
    for name in [name for name in result if name.endswith(".attn.query.weight")]:
        stem = name.removesuffix("attn.query.weight")
        q, k, v = (result.pop(f"{stem}attn.{part}.weight") for part in ("query", "key", "value"))
        q_bias, v_bias = (result.pop(f"{stem}attn.{part}.bias") for part in ("query", "value"))
        if not shape.positions:
            q, k, q_bias = (interleaved(x, shape.heads) for x in (q, k, q_bias))
        result[f"{stem}in_proj.weight"] = torch.cat([q, k, v])
        result[f"{stem}in_proj.bias"] = torch.cat([q_bias, torch.zeros_like(q_bias), v_bias])
    return result


STEPS = (  # pattern of a step's name in the graph -> the name that s3tokenizer gives its array
    (r"^/blocks\.(\d+)/(attn_ln|mlp_ln)/(?:Mul|LayerNormalization)$", r"encoder.blocks.\1.\2.weight"),
    (r"^/blocks\.(\d+)/(attn_ln|mlp_ln)/Add(?:_1)?$", r"encoder.blocks.\1.\2.bias"),
    (r"^/blocks\.(\d+)/attn/(query|key|value|out)/MatMul$", r"encoder.blocks.\1.attn.\2.weight"),
    (r"^/blocks\.(\d+)/attn/(query|key|value|out)/Add$", r"encoder.blocks.\1.attn.\2.bias"),
    (r"^/blocks\.(\d+)/mlp/mlp\.([02])/MatMul$", r"encoder.blocks.\1.mlp.\2.weight"),
    (r"^/blocks\.(\d+)/mlp/mlp\.([02])/Add$", r"encoder.blocks.\1.mlp.\2.bias"),
    (r"^/blocks\.(\d+)/attn/fsmn_block/Conv$", r"encoder.blocks.\1.attn.fsmn_block.weight"),
    (r"^/quantizer/rq/model/layers\.0/_codebook/Pow_1$", "quantizer._codebook.embed"),
)
INPUTS = {  # arrays that are known by their own name
    "encoders.positional_embedding": "encoder.positional_embedding",
    "quantizer.project_in.bias": "quantizer._codebook.project_down.bias",
}


def onnx_state(path: Path) -> dict[str, Tensor]:
    """The arrays of an official .onnx file under the names that s3tokenizer gives them."""
    state: dict[str, Tensor] = {}
    convolutions = 0
    for node in onnx_reader.read(path):
        arrays = [(x.name, torch.from_numpy(x.data).float()) for x in node.inputs if x.data is not None and x.data.size > 1]
        name = renamed_by(STEPS, node.name)
        for own, value in arrays:
            if own in INPUTS:
                state[INPUTS[own]] = value
        arrays = [value for own, value in arrays if own not in INPUTS]
        if not arrays:
            continue
        if node.kind == "Conv" and name == node.name:
            convolutions += 1
            state |= zip((f"encoder.conv{convolutions}.weight", f"encoder.conv{convolutions}.bias"), arrays, strict=True)
        elif node.kind == "MatMul" and name == node.name:  # the only one outside the layers
            state["quantizer._codebook.project_down.weight"] = arrays[0].T
        elif name != node.name:
            state[name] = arrays[0].T if arrays[0].ndim == 2 else arrays[0]
            if node.kind == "LayerNormalization":
                state[re.sub("weight$", "bias", name)] = arrays[1]
    return state


def build(spec: Spec) -> Units | DigitUnits:
    """The model of a variant, without weights."""
    config = CONFIGS[spec.variant]
    kind = Units if config.size else DigitUnits
    return kind(spec, Features(config.encoder, unit=bool(config.size)), config.encoder.dimension)


def load(spec: Spec, path: Path | None = None) -> Units | DigitUnits:
    """The model of a variant, with the weights of the file at `path` (.onnx, or a state dict), or drawn from the spec's seed."""
    model, shape = build(spec), CONFIGS[spec.variant].encoder
    if path is None:
        draw(model, seed_of(spec))
        return model.eval()
    state = renamed(onnx_state(path) if path.suffix == ".onnx" else load_state(path), shape)
    fill(model, state, path)
    if isinstance(model, Units):
        model.set_centroids(model.centroids.clone())
    return model.eval()


@torch.no_grad()
def draw(model: Units | DigitUnits, seed: int) -> None:
    """Random weights, with the codes around the features of noise: otherwise every frame would get the same few."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    if isinstance(model, Units):
        return model.sow(seed, RATE)
    loudness = torch.rand(1, 1, 200, generator=generator).repeat_interleave(320, dim=-1)
    numbers = model.project(model.features(loudness * torch.randn(loudness.shape, generator=generator)))
    scale = numbers.std((0, 1))
    model.project.bias.sub_(numbers.mean((0, 1))).div_(scale)
    model.project.weight.div_(scale[:, None])


def released(name: str, place: str, sha256: str) -> Checkpoint:
    """A file of the authors' repositories, with the digest that s3tokenizer states of it."""
    return Checkpoint(name, sha256, f"https://www.modelscope.cn/models/{place}")


CHECKPOINTS = {
    "v2": released(
        "speech_tokenizer_v2.onnx",
        "iic/CosyVoice2-0.5B/resolve/master/speech_tokenizer_v2.onnx",
        "d43342aa12163a80bf07bffb94c9de2e120a8df2f9917cd2f642e7f4219c6f71",
    ),
    "v1": released(
        "speech_tokenizer_v1.onnx",
        "iic/cosyvoice-300m/resolve/master/speech_tokenizer_v1.onnx",
        "23b5a723ed9143aebfd9ffda14ac4c21231f31c35ef837b6a13bb9e5488abb1e",
    ),
    "v1-25hz": released(
        "speech_tokenizer_v1_25hz.onnx",
        "iic/CosyVoice-300M-25Hz/resolve/master/speech_tokenizer_v1.onnx",
        "56285ddd4a83e883ee0cb9f8d69c1089b53a94b1f78ff7e4a0224a27eb4cb486",
    ),
    "v3": released(
        "speech_tokenizer_v3.onnx",
        "FunAudioLLM/Fun-CosyVoice3-0.5B-2512/resolve/master/speech_tokenizer_v3.onnx",
        "23236a74175dbdda47afc66dbadd5bcb41303c467a57c261cb8539ad9db9208d",
    ),
}


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], CHECKPOINTS.get(name)
    spec = Spec(
        name="s3",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.codes, RATE / config.encoder.hop, "semantic", levels=() if config.size else (3,) * DIGITS),),
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        decodes=False,
        source="https://arxiv.org/abs/2407.05407, https://github.com/xingchensong/S3Tokenizer, https://github.com/FunAudioLLM/CosyVoice",
        licence="Apache-2.0" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
