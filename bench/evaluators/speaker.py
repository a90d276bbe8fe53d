"""Speaker encoders. An evaluator is a record here and a function that loads it; columns carry its name.

Audio comes as wav [T] float32 at 16 kHz, mono, and an answer is a unit vector [D]: the cosine of two says how alike two voices are. How
high that is for one voice depends on the model alone, so cosines of two models stand in two columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from torch import Tensor

from bench.api import UserError
from bench.evaluators import dvector, ecapa, xvector


class SpeakerEncoder(Protocol):
    """A loaded judge."""

    def __call__(self, wav: Tensor, /) -> Tensor:
        """wav [T] float32 at 16 kHz on the judge's device, at least half a second of it and not silent -> unit vector [D]."""
        ...


@dataclass(frozen=True)
class SpeakerJudge:
    """What is known of a judge before it is loaded."""

    name: str  # as the columns say it
    sha256: str  # of its files, "<hex>+<hex>" of several
    about: str  # what it does with a wave, for `bench list metrics`
    load: Callable[[str], SpeakerEncoder]  # called with the device; UserError where its package or weights are missing

    @property
    def label(self) -> str:
        """The judge as part of what a run is."""
        return f"{self.name} sha256:{self.sha256}"


X_VECTORS = "x-vectors, pauses kept"
DEFAULT = SpeakerJudge("resemblyzer", dvector.SHA256, "d-vectors, low volume raised, pauses kept", dvector.load)
WAVLM = SpeakerJudge("wavlm_base_plus_sv", "+".join(file.sha256 for file in xvector.WAVLM), X_VECTORS, xvector.load_wavlm)
ECAPA = SpeakerJudge("ecapa_voxceleb", ecapa.FILE.sha256, "ECAPA-TDNN of SpeechBrain, pauses kept", ecapa.load)
JUDGES = {"resemblyzer": DEFAULT, "wavlm-base-plus-sv": WAVLM, "ecapa-voxceleb": ECAPA}


def judge(name: str) -> SpeakerJudge:
    """A judge by its name, or from a folder. A folder of one's own is told apart in the columns by the sha256 of its weights."""
    if name in JUDGES:
        return JUDGES[name]
    folder = Path(name)
    if not folder.is_dir():
        raise UserError(f"no speaker model is called {name!r}: give one of {', '.join(JUDGES)}, or a folder with a model of that kind")
    digests = xvector.digests(folder)
    load, sha256 = partial(xvector.load_folder, folder), "+".join(digests)
    for known in JUDGES.values():
        if known.sha256 == sha256:
            return replace(known, load=load)
    stem = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_") or "model"
    return SpeakerJudge(f"{stem}_{digests[-1][:8]}", sha256, X_VECTORS, load)


@lru_cache(maxsize=2)
def loaded(judge: SpeakerJudge, device: str) -> SpeakerEncoder:
    """The judge on the device; the one of the last run is kept."""
    return judge.load(device)
