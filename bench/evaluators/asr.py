"""ASR models. An evaluator is a record here and a function that loads it; columns carry its name.

Audio comes as wav [T] float32 at 16 kHz, mono, of any length, and an answer is the text. Error rates of two recognizers say little of each
other: each has its own column, and the same recognizer on the original stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from bench.api import Audio, Clip, UserError
from bench.catalog.names import unknown
from bench.data.audio import resample, to_channels
from bench.evaluators import faster_whisper, hubert_ctc, openai_whisper, sphinx
from bench.weights.download import sha256_of

RATE = 16_000  # Hz of what every recognizer takes


class Recognizer(Protocol):
    """A loaded judge."""

    @property
    def key(self) -> str:
        """What its answers depend on, besides the audio and the judge's label: a package's version, a list of words."""
        ...

    @property
    def in_workers(self) -> bool:
        """Whether it is asked in worker processes, and so can be sent there; else in this process, on the device."""
        ...

    @property
    def unknown(self) -> Mapping[str, int]:
        """The words of the transcripts that it can never answer, and how often each comes."""
        ...

    def hears(self, language: str) -> bool:
        """Whether it was made for that language (ISO 639)."""
        ...

    def transcribe(self, wav: Tensor, language: str) -> str:
        """wav [T] float32 at 16 kHz on the CPU, T >= 0 -> what is said, "" where nothing is."""
        ...

    def normalise(self, text: str, language: str) -> str:
        """A transcript, or an answer, as error rates compare the two: words with one space between."""
        ...


@runtime_checkable
class ManyAtOnce(Protocol):
    """A recognizer that is best asked about many clips together."""

    @property
    def at_once(self) -> int:
        """How many; 1: one by one after all."""
        ...

    @property
    def groups(self) -> int:
        """How many such groups it may be asked about at a time, by as many threads."""
        ...

    def transcribe_all(self, wavs: Sequence[Tensor], language: str) -> list[str]:
        """What `transcribe` says of each."""
        ...


def heard(audio: Audio) -> Tensor:
    """audio [C, T] -> wav [T], as every recognizer takes it."""
    return resample(to_channels(audio.wav, 1), audio.sample_rate, RATE)[0]


@dataclass(frozen=True)
class AsrJudge:
    """What is known of a judge before it is loaded."""

    name: str  # as the columns say it
    sha256: str  # of its weights
    about: str  # how it decodes and what its texts are normalised by
    load: Callable[[tuple[Clip, ...], str], Recognizer]  # called with the clips whose transcripts it may know, and the device
    prepare: Callable[[], None] | None = None  # UserError where its package or weights are missing
    closed: bool = False  # may say the words of the data's transcripts only

    @property
    def label(self) -> str:
        """The judge as part of what a run is."""
        return f"{self.name} sha256:{self.sha256}, {self.about}"


def whisper(name: str) -> AsrJudge:
    """A published Whisper."""
    locate = partial(openai_whisper.locate, name)

    def prepare() -> None:
        openai_whisper.installed()
        locate()

    return _whisper(name, openai_whisper.SHA256[name], locate, prepare)


def whisper_file(path: Path) -> AsrJudge:
    """A Whisper of the user's own. It is told apart in the columns by the sha256 of its file."""
    sha256 = sha256_of(path)
    published = next((name for name, known in openai_whisper.SHA256.items() if known == sha256), None)
    stem = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_") or "model"

    def prepare() -> None:
        openai_whisper.load(path, "cpu")  # nobody has proven that it is one

    return _whisper(published or f"{stem}_{sha256[:8]}", sha256, lambda: path, prepare)


def _whisper(name: str, sha256: str, locate: Callable[[], Path], prepare: Callable[[], None]) -> AsrJudge:
    def load(_: tuple[Clip, ...], device: str) -> Recognizer:
        return openai_whisper.load(locate(), device)

    return AsrJudge(f"whisper_{re.sub('[.-]', '_', name)}", sha256, openai_whisper.ABOUT, load, prepare)


def pocketsphinx() -> AsrJudge:
    """The recognizer that needs no download."""
    return AsrJudge("pocketsphinx_closed", sphinx.sha256(), sphinx.ABOUT, sphinx.load, closed=True)


def faster(name: str, eight_bits: bool) -> AsrJudge:
    """A published Whisper through faster-whisper."""
    locate = partial(faster_whisper.locate, name)

    def prepare() -> None:
        faster_whisper.installed()
        locate()

    return _faster(name, faster_whisper.PUBLISHED[name].sha256[faster_whisper.MODEL], eight_bits, locate, prepare)


def faster_folder(folder: Path) -> AsrJudge:
    """A model of the user's own. It is told apart in the columns by the sha256 of its file."""
    files = faster_whisper.files_of(folder)
    sha256 = sha256_of(files[faster_whisper.MODEL])
    published = next((name for name, known in faster_whisper.PUBLISHED.items() if known.sha256[faster_whisper.MODEL] == sha256), None)
    stem = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_") or "model"

    def prepare() -> None:
        faster_whisper.load(files, "cpu", eight_bits=False)  # nobody has proven that it is one

    return _faster(published or f"{stem}_{sha256[:8]}", sha256, False, lambda: files, prepare)


def _faster(name: str, sha256: str, eight_bits: bool, locate: Callable[[], Mapping[str, Path]], prepare: Callable[[], None]) -> AsrJudge:
    def load(_: tuple[Clip, ...], device: str) -> Recognizer:
        return faster_whisper.load(locate(), device, eight_bits)

    column = f"faster_whisper_{re.sub('[.-]', '_', name)}" + "_int8" * eight_bits
    return AsrJudge(column, sha256, faster_whisper.ABOUT + ", weights of 8 bits" * eight_bits, load, prepare)


def hubert() -> AsrJudge:
    """The recognizer of many codec papers, from the hub's cache."""
    return _ctc(hubert_ctc.cached(), hubert_ctc.NAME)


def _ctc(folder: Path, name: str = "") -> AsrJudge:
    """A CTC model in transformers' form; without a name it is told apart in the columns by the sha256 of its files."""
    sha256 = hubert_ctc.sha256_of_files(hubert_ctc.files_of(folder))
    stem = re.sub(r"[^a-z0-9]+", "_", (name or folder.resolve().name).lower()).strip("_") or "model"

    def prepare() -> None:
        openai_whisper.installed()  # its normalisers
        hubert_ctc.load(folder, "cpu")  # nobody has proven that it is one

    column = stem if name else f"{stem}_{sha256[:8]}"
    return AsrJudge(column, sha256, hubert_ctc.ABOUT, lambda _, device: hubert_ctc.load(folder, device), prepare)


JUDGES: Mapping[str, Callable[[], AsrJudge]] = {
    **{name: partial(whisper, name) for name in openai_whisper.SHA256},
    **{alias: partial(whisper, name) for alias, name in openai_whisper.ALIASES.items()},
    **{f"faster-whisper/{name}": partial(faster, name, False) for name in faster_whisper.PUBLISHED},
    **{f"faster-whisper/{name}-int8": partial(faster, name, True) for name in faster_whisper.PUBLISHED},
    hubert_ctc.NAME: hubert,
    "pocketsphinx": pocketsphinx,
}
DEFAULT = whisper("base.en")


def judge(name: str) -> AsrJudge:
    """A judge by its name, a Whisper by the path of its file, or a model of faster-whisper or a CTC model of transformers by its folder."""
    if name in JUDGES:
        return JUDGES[name]()
    path = Path(name)
    if path.is_file():
        return whisper_file(path)
    if path.is_dir():
        return _ctc(path) if (path / "vocab.json").is_file() else faster_folder(path)
    if path.suffix == ".pt" or (path.parent != Path() and not name.startswith("faster-whisper/")):
        raise UserError(
            f"no file {path}: give a Whisper's .pt file, a folder of faster-whisper or of transformers, or one of {', '.join(JUDGES)}"
        )
    raise unknown("recognizer", name, JUDGES)


@lru_cache(maxsize=2)
def loaded(judge: AsrJudge, clips: tuple[Clip, ...], device: str) -> Recognizer:
    """The judge on the device; the one of the last run is kept."""
    return judge.load(clips, device)
