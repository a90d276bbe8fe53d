"""Whisper (Radford et al. 2022, arxiv.org/abs/2212.04356, MIT) through the package openai-whisper: its decoding, and its normalisers.

Greedy at temperature 0, with nothing to fall back on, so that an answer never depends on chance; windows of up to 30 s, one after the other
until the clip ends, and none is told what the one before it heard. In float32, but on a CUDA device in half precision, where clips of up to
30 s go through the network together, without marks of time. The package's loader is not used: the file is proven by its sha256, then read
without running anything that stands in it.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.api import Checkpoint, UserError
from bench.data.unicode_forms import compared
from bench.evaluators.packages import WHISPER
from bench.weights import download, files

if TYPE_CHECKING:
    from whisper.model import Whisper

SHA256 = {  # of the files that the package fetches
    "tiny.en": "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
    "tiny": "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
    "base.en": "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead",
    "base": "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    "small.en": "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872",
    "small": "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
    "medium.en": "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f",
    "medium": "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    "large-v1": "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a",
    "large-v2": "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524",
    "large-v3": "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
    "large-v3-turbo": "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
}
ALIASES = {"large": "large-v3", "turbo": "large-v3-turbo"}
URL = "https://openaipublic.azureedge.net/main/whisper/models"
OTHER_WAYS = "or give a file with --asr-model PATH; --asr-model pocketsphinx needs no download"
ABOUT = "greedy, EnglishTextNormalizer, for other languages BasicTextNormalizer"
AT_ONCE = 32  # clips on a GPU
UNLIKELY, SILENT = -1.0, 0.6  # the package's limits: of an answer's mean log probability, and of how likely nothing was said
UNSPACED = ("ja", "lo", "my", "th", "yue", "zh")  # written without spaces: each letter counts as a word, as in Whisper's paper


@dataclass(frozen=True)
class WhisperRecognizer:
    """A Whisper on its device."""

    model: Whisper
    key: str
    at_once: int = 1  # clips that it is asked about together
    half: bool = False  # precision
    unknown: Mapping[str, int] = field(default_factory=dict)
    in_workers: bool = False
    groups: int = 1  # its cache of keys and values serves one at a time

    def hears(self, language: str) -> bool:
        from whisper.tokenizer import LANGUAGES

        return language in list(LANGUAGES)[: self.model.num_languages] if self.model.is_multilingual else language == "en"

    def transcribe(self, wav: Tensor, language: str) -> str:
        return self.transcribe_all([wav], language)[0]

    def transcribe_all(self, wavs: Sequence[Tensor], language: str) -> list[str]:
        """The same of many clips."""
        from whisper.audio import N_SAMPLES

        short = [i for i, wav in enumerate(wavs) if self.at_once > 1 and 0 < len(wav) <= N_SAMPLES]
        found: dict[int, str] = {}
        for start in range(0, len(short), self.at_once):
            some = short[start : start + self.at_once]
            found |= dict(zip(some, self._windows([wavs[i] for i in some], language), strict=True))
        return [found[i] if i in found else self._long(wav, language) for i, wav in enumerate(wavs)]

    def _windows(self, wavs: Sequence[Tensor], language: str) -> list[str]:
        """Of clips that fit into one window each; what is less likely than silence is none, as in the package's own loop."""
        from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim
        from whisper.decoding import DecodingOptions, DecodingResult, decode

        device, mels = self.model.device, self.model.dims.n_mels
        mel = torch.stack([torch.as_tensor(pad_or_trim(log_mel_spectrogram(wav, mels, N_SAMPLES, device), N_FRAMES)) for wav in wavs])
        options = DecodingOptions(language=language, without_timestamps=True, fp16=self.half)
        found = decode(self.model, mel.half() if self.half else mel, options)
        assert not isinstance(found, DecodingResult)
        return ["" if one.no_speech_prob > SILENT and one.avg_logprob < UNLIKELY else one.text.strip() for one in found]

    def _long(self, wav: Tensor, language: str) -> str:
        from whisper import transcribe

        settings = {"temperature": 0.0, "condition_on_previous_text": False, "fp16": self.half}
        return str(transcribe(self.model, wav, language=language, **settings)["text"]).strip()

    def normalise(self, text: str, language: str) -> str:
        return normaliser(language)(compared(text)).strip()


@lru_cache(maxsize=8)
def normaliser(language: str) -> Callable[[str], str]:
    """The package's own, for what is spoken."""
    from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

    return EnglishTextNormalizer() if language == "en" else BasicTextNormalizer(split_letters=language in UNSPACED)


def installed() -> str:
    """The package's version; UserError where it, or what it needs, is missing."""
    try:
        import whisper.model
        import whisper.normalizers  # noqa: F401

        return metadata.version("openai-whisper")
    except (ImportError, metadata.PackageNotFoundError) as error:
        raise UserError(f"{WHISPER.needed} ({error}): {WHISPER.install}") from error


def locate(name: str) -> Path:
    """The file of a published model: where the package keeps it, or in the cache folder, or fetched now."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = caches / "whisper" / f"{name}.pt"
    if not path.is_file():
        return download.locate(Checkpoint(f"whisper/{name}.pt", SHA256[name], f"{URL}/{SHA256[name]}/{name}.pt", OTHER_WAYS))
    if (found := download.sha256_of(path)) != SHA256[name]:
        raise UserError(f"{path} has sha256 {found[:12]}..., not the pinned {SHA256[name][:12]}...: delete it, {OTHER_WAYS}")
    return path


def load(path: Path, device: str) -> WhisperRecognizer:
    """The model of a checkpoint in the package's form: a pickle of "dims" and "model_state_dict"."""
    version = installed()
    from whisper.model import ModelDimensions, Whisper

    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        dimensions, state = ModelDimensions(**held["dims"]), dict(held["model_state_dict"])
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f'{path} cannot be read as a Whisper model ({why}): a file with "dims" and "model_state_dict" is wanted') from error
    model = Whisper(dimensions)
    files.fill(model, state, path)
    model.to(device).eval().requires_grad_(False)
    kind, many = torch.device(device).type, torch.device(device).type == "cuda"
    key = f"openai-whisper {version} on {kind}" + ", half precision, windows without marks of time" * many
    return WhisperRecognizer(model, key, AT_ONCE if many else 1, many)
