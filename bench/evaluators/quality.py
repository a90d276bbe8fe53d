"""Quality evaluators. One is a record here and a module that loads it; columns carry its name.

Each states the one rate at which it hears a domain, and how it is asked: of the reconstruction alone (then its score of the original stands
beside it, `_original`), or of both. None of them is a listener; each was fitted to some, and knows what those heard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TypeVar

from bench.api import CORRELATION, DOMAINS, POSITIVE, SHARE, Domain, Metric, UserError
from bench.catalog.names import unknown
from bench.evaluators import basic_pitch, crepe, distill_mos, dnsmos, embeddings, nisqa, plcmos, squim, utmos, visqol, warpq
from bench.evaluators.embeddings import Embed
from bench.evaluators.package_files import PackageFile
from bench.evaluators.quality_kinds import QualityEvaluator, SetEvaluator
from bench.evaluators.sounds import Ask

SPEECH: Mapping[Domain, int] = {"speech": 16_000}
ENCODEC: Mapping[Domain, int] = dict.fromkeys(DOMAINS, embeddings.ENCODEC_RATE)
MOS = (0.0, 6.0)  # a regression may leave the scale from 1 to 5 by a little


def sha256(*files: PackageFile) -> str:
    """Of all of them."""
    return "+".join(file.sha256 for file in files)


def _mos(name: str, about: str, rates: Mapping[Domain, int] = SPEECH) -> Metric:
    return Metric(name, "MOS", "higher", rates, 0.02, None, about, span=MOS)


def _visqol(mode: visqol.Mode, *domains: Domain) -> QualityEvaluator:
    name, rates = f"visqol_{mode}", dict.fromkeys(domains, visqol.RATES[mode])
    column = _mos(name, f"ViSQOL v3, {mode} mode, {visqol.RATES[mode] // 1000} kHz (package visqol-python)", rates)
    weights = sha256(visqol.SVR if mode == "audio" else visqol.LATTICE)
    return QualityEvaluator(name, (replace(column, unit="MOS-LQO"),), partial(visqol.load, mode), weights, 1.0, compares=True)


VISQOL = (_visqol("speech", "speech"), _visqol("audio", "music", "general"))
DISTILL_MOS = QualityEvaluator(
    "distill_mos",
    (_mos("distill_mos", "Distill-MOS, no reference, 1..5 (Stahl and Gamper 2025)"),),
    distill_mos.load,
    sha256(distill_mos.FILE),
    0.5,
    on_device=True,
)
DNSMOS = QualityEvaluator(
    "dnsmos",
    (
        _mos("dnsmos_sig", "DNSMOS P.835, the speech signal, no reference"),
        _mos("dnsmos_bak", "DNSMOS P.835, the background, no reference"),
        _mos("dnsmos_ovrl", "DNSMOS P.835, the whole, no reference"),
        _mos("dnsmos_p808", "DNSMOS P.808, the whole, no reference"),
    ),
    dnsmos.load,
    sha256(dnsmos.P835, dnsmos.P808),
    0.5,
)
PLCMOS = QualityEvaluator(
    "plcmos", (_mos("plcmos", "PLCMOS v2, packet loss and its concealment, no reference"),), plcmos.load, sha256(plcmos.FILE), 0.5
)
BASIC_PITCH = QualityEvaluator(
    "basic_pitch",
    (
        Metric(
            "note_f1_basic_pitch",
            "share",
            "higher",
            {"music": basic_pitch.RATE},
            0.01,
            None,
            "notes of the original heard again in the reconstruction, onset within 50 ms (Basic Pitch)",
            span=SHARE,
        ),
    ),
    basic_pitch.load,
    sha256(basic_pitch.FILE),
    0.5,
    compares=True,
)
WARPQ = QualityEvaluator(
    "warpq",
    (
        Metric(
            "warpq_no_vad",
            "",
            "lower",
            SPEECH,
            0.02,
            None,
            "WARP-Q, cost of warping the reconstruction onto the original, pauses kept (Jassim 2021)",
            span=POSITIVE,
        ),
    ),
    warpq.load,
    "none",
    0.5,
    compares=True,
)
NISQA = QualityEvaluator(
    "nisqa",
    (
        _mos("nisqa_mos", "NISQA 2, the whole, no reference, 48 kHz", {"speech": nisqa.RATE}),
        _mos("nisqa_noi", "NISQA 2, noisiness: higher is less of it", {"speech": nisqa.RATE}),
        _mos("nisqa_col", "NISQA 2, coloration: higher is less of it", {"speech": nisqa.RATE}),
        _mos("nisqa_dis", "NISQA 2, discontinuity: higher is less of it", {"speech": nisqa.RATE}),
        _mos("nisqa_loud", "NISQA 2, loudness: higher is better", {"speech": nisqa.RATE}),
    ),
    nisqa.load,
    nisqa.FILE.sha256,
    0.5,
    on_device=True,
)
SQUIM = QualityEvaluator(
    "squim",
    (
        Metric("squim_stoi", "", "higher", SPEECH, 0.003, None, "STOI as estimated without the original (TorchAudio-SQUIM)", span=SHARE),
        Metric("squim_pesq", "MOS-LQO", "higher", SPEECH, 0.02, None, "wideband PESQ as estimated without the original", span=MOS),
        Metric("squim_si_sdr", "dB", "higher", SPEECH, 0.1, None, "SI-SDR as estimated without the original"),
    ),
    squim.load,
    squim.FILE.sha256,
    0.5,
    on_device=True,
)
UTMOS = QualityEvaluator(
    "utmos", (_mos("utmos", "UTMOS22 strong learner, no reference"),), utmos.load, utmos.FILE.sha256, 0.5, on_device=True
)


def _crepe(size: crepe.Size) -> QualityEvaluator:
    name, heard = f"crepe_{size}", f"(CREPE {size}, 60..500 Hz)"
    columns = (
        Metric(f"f0_rmse_{name}", "Hz", "lower", SPEECH, 1.0, None, f"F0 error where both are voiced {heard}", span=POSITIVE),
        Metric(f"f0_corr_{name}", "r", "higher", SPEECH, 0.01, None, f"F0 correlation where both are voiced {heard}", span=CORRELATION),
        Metric(f"vuv_f1_{name}", "F1", "higher", SPEECH, 0.005, None, f"F1 of the voiced/unvoiced decision {heard}", span=SHARE),
    )
    return QualityEvaluator(name, columns, partial(crepe.load, size), crepe.FILES[size].sha256, 0.5, compares=True, on_device=True)


CREPE_TINY, CREPE_FULL = _crepe("tiny"), _crepe("full")
FAD_DISTILL_MOS = SetEvaluator(
    "fad_distill_mos", SPEECH, embeddings.load_distill_mos, sha256(distill_mos.FILE), "Distill-MOS's last layer, 16 kHz, 50 a second"
)
FAD_ENCODEC = SetEvaluator(
    "fad_encodec", ENCODEC, embeddings.load_encodec, embeddings.ENCODEC.sha256, "EnCodec's latents, 24 kHz, 75 a second: encodec-emb"
)
GROUPS: Mapping[str, tuple[QualityEvaluator | SetEvaluator, ...]] = {
    "default": (*VISQOL, DISTILL_MOS, DNSMOS, PLCMOS, BASIC_PITCH),  # all that need no download
    "visqol": VISQOL,
    "distill_mos": (DISTILL_MOS,),
    "dnsmos": (DNSMOS,),
    "plcmos": (PLCMOS,),
    "basic_pitch": (BASIC_PITCH,),
    "warpq": (WARPQ,),
    "nisqa": (NISQA,),
    "squim": (SQUIM,),
    "utmos": (UTMOS,),
    "crepe_tiny": (CREPE_TINY,),
    "crepe_full": (CREPE_FULL,),
    "fad_distill_mos": (FAD_DISTILL_MOS,),
    "fad_encodec": (FAD_ENCODEC,),
}


@dataclass(frozen=True)
class Panel:
    """The evaluators of a run."""

    name: str  # as the user said it
    members: tuple[QualityEvaluator, ...]
    sets: tuple[SetEvaluator, ...] = ()

    @property
    def everyone(self) -> tuple[QualityEvaluator | SetEvaluator, ...]:
        """Those of clips, then those of sets."""
        return (*self.members, *self.sets)

    @property
    def label(self) -> str:
        """All of them, as part of what a run is."""
        return f"{self.name}: {', '.join(one.label for one in self.everyone)}"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Their columns."""
        return tuple(metric for one in self.everyone for metric in one.metrics)

    def hears(self, domain: Domain) -> bool:
        """Whether anybody does."""
        return any(domain in one.rates for one in self.everyone)

    def of(self, domain: Domain) -> tuple[QualityEvaluator, ...]:
        """Those of clips that hear the domain."""
        return tuple(member for member in self.members if domain in member.rates)


def panel(words: str) -> Panel:
    """One by name, or several as a comma list; `default`: all that need no download."""
    named = [word.strip() for word in words.split(",") if word.strip()]
    if not named:
        raise UserError(f"no quality evaluator is named: give one or several of {', '.join(GROUPS)}")
    for word in named:
        if word not in GROUPS:
            raise unknown("quality evaluator", word, GROUPS)
    chosen = {one.name: one for word in named for one in GROUPS[word]}.values()
    members = tuple(one for one in chosen if isinstance(one, QualityEvaluator))
    return Panel("+".join(dict.fromkeys(named)), members, tuple(one for one in chosen if isinstance(one, SetEvaluator)))


Loaded = TypeVar("Loaded")


@lru_cache(maxsize=16)
def _loaded(name: str, weights: str, load: Callable[[str], Loaded], device: str) -> Loaded:
    return load(device)


def loaded(evaluator: QualityEvaluator, device: str) -> Ask:
    """The evaluator, once a process and device."""
    return _loaded(evaluator.name, evaluator.weights, evaluator.load, device)


def embedding(evaluator: SetEvaluator, device: str) -> Embed:
    """The embedding, once a process and device."""
    return _loaded(evaluator.name, evaluator.weights, evaluator.load, device)
