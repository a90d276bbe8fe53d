"""Whisper (Radford et al. 2022, arxiv.org/abs/2212.04356, MIT) through the package faster-whisper: its engine is CTranslate2, not torch.

Greedy at temperature 0. Clips of up to 30 s are heard in batches, in windows hardly longer than they are (see whisper_windows); longer ones
as through openai-whisper, one window of 30 s after the other by Whisper's own marks of time, none told what the one before it heard.
Normalised by openai-whisper's normalisers. float32 on a CPU and float16 on a GPU; names that end in -int8 have weights of 8 bits. A model
is a folder of four files, each proven by its sha256 and read into memory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.api import Checkpoint, UserError
from bench.data.unicode_forms import compared
from bench.evaluators.openai_whisper import normaliser
from bench.evaluators.packages import FASTER_WHISPER
from bench.evaluators.whisper_windows import AT_ONCE, LONGEST, WINDOWS, Windows
from bench.weights import download

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

RATE = 16_000
MODEL, TEXTS = "model.bin", ("config.json", "tokenizer.json", "vocabulary.txt")
LICENCE = "MIT"
OTHER_WAYS = "or give a folder that has it with --asr-model PATH; --asr-model pocketsphinx needs no download"
ABOUT = "faster-whisper, greedy, windows of 10, 20 or 30 s, EnglishTextNormalizer, for other languages BasicTextNormalizer"


@dataclass(frozen=True)
class Published:
    """A model of the hub, as Systran converted it."""

    repo: str
    revision: str
    sha256: Mapping[str, str]  # by the name of the file

    def checkpoint(self, name: str, file: str) -> Checkpoint:
        """One of its files; `name`: of the model."""
        url = f"https://huggingface.co/{self.repo}/resolve/{self.revision}/{file}"
        return Checkpoint(f"faster-whisper/{name}/{file}", self.sha256[file], url, OTHER_WAYS)


PUBLISHED: Mapping[str, Published] = {
    "base": Published(
        "Systran/faster-whisper-base",
        "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        {
            "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        },
    ),
    "tiny.en": Published(
        "Systran/faster-whisper-tiny.en",
        "0d3d19a32d3338f10357c0889762bd8d64bbdeba",
        {
            "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        },
    ),
}


@dataclass(frozen=True)
class FasterWhisperRecognizer:
    """A model on its device."""

    model: WhisperModel
    key: str
    workers: int = 1  # batches at a time
    unknown: Mapping[str, int] = field(default_factory=dict)
    in_workers: bool = False

    @property
    def at_once(self) -> int:
        """Clips that it is best asked about together."""
        return AT_ONCE * self.workers * len(WINDOWS)

    @property
    def groups(self) -> int:
        """Two, where batches are worked on at a time: the last batches of a group leave cores idle."""
        return min(2, self.workers)

    def hears(self, language: str) -> bool:
        if not self.model.model.is_multilingual:
            return language == "en"
        return self.model.hf_tokenizer.token_to_id(f"<|{language}|>") is not None

    def transcribe(self, wav: Tensor, language: str) -> str:
        return self.transcribe_all([wav], language)[0]

    def transcribe_all(self, wavs: Sequence[Tensor], language: str) -> list[str]:
        """The same of many clips, none of which changes what is heard in another."""
        from faster_whisper.tokenizer import Tokenizer

        tokenizer = Tokenizer(self.model.hf_tokenizer, self.model.model.is_multilingual, "transcribe", language)
        short = [i for i, wav in enumerate(wavs) if 0 < len(wav) <= LONGEST * RATE]
        found = dict(zip(short, Windows(self.model, tokenizer, self.workers).transcribe([wavs[i] for i in short]), strict=True))
        return [found[i] if i in found else self._long(wav, language) for i, wav in enumerate(wavs)]

    def _long(self, wav: Tensor, language: str) -> str:
        if not len(wav):
            return ""
        segments, _ = self.model.transcribe(
            wav.numpy(), language=language, beam_size=1, temperature=0.0, condition_on_previous_text=False, vad_filter=False
        )
        return "".join(segment.text for segment in segments).strip()

    def normalise(self, text: str, language: str) -> str:
        return normaliser(language)(compared(text)).strip()


def installed() -> str:
    """The versions of the packages; UserError where one is missing."""
    try:
        import faster_whisper  # noqa: F401
        import whisper.normalizers  # noqa: F401

        return f"faster-whisper {metadata.version('faster-whisper')}, ctranslate2 {metadata.version('ctranslate2')}"
    except (ImportError, metadata.PackageNotFoundError) as error:
        raise UserError(f"{FASTER_WHISPER.needed} ({error}): {FASTER_WHISPER.install}") from error


def locate(name: str) -> dict[str, Path]:
    """The files of a published model by their names: in the project's cache folder, in the hub's cache, or fetched now."""
    known = PUBLISHED[name]
    return {file: download.locate(known.checkpoint(name, file), LICENCE) for file in (*TEXTS, MODEL)}


def files_of(folder: Path) -> dict[str, Path]:
    """The files of a model of the user's own, as `ct2-transformers-converter --copy_files tokenizer.json` writes them."""
    found = {path.name: path for path in folder.iterdir() if path.name in (*TEXTS, MODEL, "vocabulary.json", "preprocessor_config.json")}
    lacking = [file for file in (MODEL, "config.json", "tokenizer.json") if file not in found]
    if lacking or not {"vocabulary.txt", "vocabulary.json"} & found.keys():
        raise UserError(f"{folder} has no {', '.join(lacking) or 'vocabulary.txt'}: a model of faster-whisper is a folder of those files")
    return found


def load(files: Mapping[str, Path], device: str, eight_bits: bool) -> FasterWhisperRecognizer:
    """The model of those files on the device; on a CPU it works on as many batches at a time as torch has threads."""
    versions = installed()
    from faster_whisper import WhisperModel

    where = torch.device(device)
    kind = {(False, "cpu"): "float32", (False, "cuda"): "float16", (True, "cpu"): "int8", (True, "cuda"): "int8_float16"}
    if (compute := kind.get((eight_bits, where.type))) is None:
        raise UserError(f"faster-whisper works on cpu and cuda, not on {where.type}: --device cpu")
    workers = torch.get_num_threads() if where.type == "cpu" else 1
    held = {name: path.read_bytes() for name, path in files.items()}
    digest = hashlib.sha256("".join(f"{name} {hashlib.sha256(held[name]).hexdigest()}\n" for name in sorted(held)).encode()).hexdigest()
    try:
        model = WhisperModel(
            os.fspath(files[MODEL].parent),
            device=where.type,
            device_index=where.index or 0,
            compute_type=compute,
            cpu_threads=1,  # two batches on a core each cost less than one on two
            num_workers=workers,
            files=held,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{files[MODEL].parent} cannot be read as a model of faster-whisper ({' '.join(str(error).split())})") from error
    return FasterWhisperRecognizer(model, f"{versions}, {compute} on {where.type}, files sha256:{digest}", workers)
