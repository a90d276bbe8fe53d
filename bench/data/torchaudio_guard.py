"""torchaudio beside any build of torch. Call `load`, or `guard` before anything imports transformers; never import torchaudio itself.

torchaudio's wheel holds compiled code for one version of CUDA. Beside a torch for another, or for none, `import torchaudio` raises OSError
or RuntimeError, and so do those classes of transformers that import it because it is installed (MimiModel, HubertModel, WavLMModel).
Without its compiled part nearly all of it works: transforms, resampling, kaldi features, models, pipelines, data sets. What does not is
forced alignment and the RNN-T loss; `lfilter` is slow.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType

from bench.api import UserError

PACKAGE, EXTENSION = "torchaudio", "torchaudio._extension"
UNUSABLE = (ImportError, OSError, RuntimeError)  # of a part that is missing, of a library that is, of another version of CUDA
CURE = "pip install 'audio-tokenizer-bench[torchaudio]', beside a torch for the same version of CUDA or for none"


def load() -> ModuleType:
    """The package, perhaps without its compiled part; UserError where it is absent or cannot be used."""
    if why := guard():
        raise UserError(f"torchaudio cannot be used ({why}): {CURE}")
    return sys.modules[PACKAGE]


@cache  # a process finds out once
def guard() -> str:
    """Makes torchaudio importable, with its compiled part or without, or else invisible to others. Gives "", or why it cannot be used."""
    if PACKAGE not in sys.modules and importlib.util.find_spec(PACKAGE) is None:
        return "it is not installed"
    try:
        importlib.import_module(PACKAGE)
        return ""
    except UNUSABLE as error:
        whole = error
    _forget()
    sys.modules[EXTENSION] = _without_compiled_part()
    try:
        importlib.import_module(PACKAGE)
        return ""
    except UNUSABLE:
        _forget()
    sys.modules[PACKAGE] = None  # type: ignore[assignment]  # Python's way to say that there is no such module: find_spec gives None
    return " ".join(str(whole).split())[:200]


def _forget() -> None:
    """What a failed import left."""
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]


def _without_compiled_part() -> ModuleType:
    """In place of torchaudio/_extension: what that module says of itself where the compiled files are absent."""

    def unavailable(function: Callable[..., object]) -> Callable[..., object]:
        def refuse(*args: object, **options: object) -> object:
            raise RuntimeError(f"torchaudio.{function.__name__} needs torchaudio's compiled part, which cannot be loaded beside this torch")

        return refuse

    substitute = ModuleType(EXTENSION)
    facts = {"_IS_TORCHAUDIO_EXT_AVAILABLE": False, "_IS_ALIGN_AVAILABLE": False, "fail_if_no_align": unavailable}
    substitute.__dict__.update(facts)
    return substitute
