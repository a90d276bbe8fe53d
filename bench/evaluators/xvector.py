"""Speaker encoders of the form that transformers calls "audio x-vector" (WavLMForXVector and its kin): a folder of three files.

config.json says what is built, preprocessor_config.json how samples are scaled, model.safetensors (or pytorch_model.bin) holds the weights;
all three are proven by sha256, and every tensor must find its place. Nothing is run that stands in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.api import Checkpoint, UserError
from bench.data import torchaudio_guard
from bench.evaluators.packages import TRANSFORMERS
from bench.weights.download import locate, sha256_of
from bench.weights.files import fill, load_state

RATE = 16_000
LONGEST = 30 * RATE  # samples heard at once; attention over more costs their square. A longer clip: the mean over equal pieces
CONFIGS = ("config.json", "preprocessor_config.json")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
HUB = "https://huggingface.co/microsoft/wavlm-base-plus-sv/resolve/1bfd64eca136543feb28c5ffaf05381c6af33121"
GIVE = "or give a folder that holds the three files with --speaker-model PATH; the default, resemblyzer, needs no download"
WAVLM = tuple(  # Microsoft's model as safetensors, licence CC-BY-SA-3.0
    Checkpoint(f"wavlm-base-plus-sv/{name}", sha256, f"{HUB}/{name}", GIVE)
    for name, sha256 in {
        "config.json": "c6ac8c0ce55b18d4612677931036fe5ce78093e87361c552a173f00a0bb07514",
        "preprocessor_config.json": "99272fe8ccfab114b68b478681ea47ee3a1ce62bb788cb92dd6e4f69fb1f1da2",
        "model.safetensors": "94c3defe08248d81c7b2bd0a058ea9985269cefed13076434669c47fade41182",
    }.items()
)


def files_of(folder: Path) -> tuple[Path, Path, Path]:
    """The configuration, the preprocessor's, and the weights."""
    found = [folder / name for name in CONFIGS if (folder / name).is_file()]
    found += [folder / name for name in WEIGHTS if (folder / name).is_file()][:1]
    if len(found) != 3:
        raise UserError(f"{folder} is no speaker model: it must hold {', '.join(CONFIGS)} and {' or '.join(WEIGHTS)}")
    return found[0], found[1], found[2]


def digests(folder: Path) -> tuple[str, ...]:
    """sha256 of each of the three."""
    return tuple(map(sha256_of, files_of(folder)))


def load_wavlm(device: str) -> Callable[[Tensor], Tensor]:
    """wavlm-base-plus-sv, from the cache or fetched now."""
    return load(*map(locate, WAVLM), device=device)


def load_folder(folder: Path, device: str) -> Callable[[Tensor], Tensor]:
    """A model of the user's own."""
    return load(*files_of(folder), device=device)


def load(config: Path, preprocessor: Path, weights: Path, device: str) -> Callable[[Tensor], Tensor]:
    """wav [T] at 16 kHz -> unit vector [D]."""
    torchaudio_guard.guard()
    try:
        from transformers import AutoConfig, AutoModelForAudioXVector, Wav2Vec2FeatureExtractor
    except ImportError as error:
        raise UserError(f"the speaker model {config.parent.name} needs transformers ({error}): {TRANSFORMERS.install}") from error
    try:
        shape = AutoConfig.from_pretrained(config, trust_remote_code=False)
        model = AutoModelForAudioXVector.from_config(shape, trust_remote_code=False)
        scale = Wav2Vec2FeatureExtractor.from_pretrained(preprocessor)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # what transformers raises for files that it cannot use
        raise UserError(f"{config.parent} cannot be used as a speaker model ({' '.join(str(error).split())[:200]})") from error
    if model.main_input_name != "input_values" or scale.sampling_rate != RATE:
        raise UserError(f"{config.parent} does not hear 16 kHz waveforms: give a model of the kind of wavlm-base-plus-sv")
    fill(model, load_state(weights), weights)
    model.to(device).eval().requires_grad_(False)

    @torch.inference_mode()
    def embed(wav: Tensor) -> Tensor:
        pieces = wav.cpu().tensor_split(math.ceil(len(wav) / LONGEST))
        heard = [scale(piece.numpy(), sampling_rate=RATE, return_tensors="pt").input_values.to(device) for piece in pieces]
        vectors = [F.normalize(model(piece).embeddings[0], dim=-1) for piece in heard]
        return F.normalize(torch.stack(vectors).mean(0), dim=-1)

    return embed
