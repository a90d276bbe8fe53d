"""The columns of a probe's question."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from bench.api import DOMAINS, POSITIVE, Domain, Metric
from bench.probe.options import LABEL, MEL
from bench.probe.questions import NAMES, SPEECH

USUAL: Mapping[str, tuple[str, Literal["higher", "lower"]]] = {
    "word": ("word accuracy", "higher"),
    "spk": ("speaker accuracy", "higher"),
    "asr": ("character error rate of a small CTC probe", "lower"),
}
VARIANCE = (-math.inf, 1.0)
MEL_ABOUT = "share of the variance of 64 log-mel bands, 50 frames per second, that the codes explain"


def domains(question: str) -> tuple[Domain, ...]:
    """Of the clips that are asked: speech for the questions about what is said, all for the others."""
    return (SPEECH,) if question in NAMES else DOMAINS


def score(question: str) -> str:
    """The column of a question; a control's has its name behind."""
    kind = {"asr": "cer", MEL: "ev"}.get(question, "acc")
    return f"{stem(question)}_{kind}"


def stem(question: str) -> str:
    """How all columns of a question begin."""
    return f"probe_{question.replace(':', '_')}"


def weight(question: str) -> Metric:
    """The column of the codebooks' weights."""
    return Metric(
        f"{stem(question)}_weight", "share", "", _rates(question), 0.01, None, "learned weight of each codebook (sums to 1)", "codebook"
    )


def columns(question: str, seeds: int) -> tuple[Metric, ...]:
    """All of a question, which so many probes learn."""
    name, own = stem(question), score(question)
    what, better = USUAL.get(question) or ((MEL_ABOUT if question == MEL else f"accuracy of {question}"), "higher")

    def fact(metric: str, about: str, per: Literal["clip", "corpus"] = "corpus") -> Metric:
        return Metric(metric, "share", "", _rates(question), 0.01, None, about, per)

    chance = (fact(f"{name}_chance", "accuracy of always answering the most frequent label"),) if own.endswith("_acc") else ()
    span = VARIANCE if question == MEL else POSITIVE
    return (
        Metric(own, "share", better, _rates(question), 0.01, None, f"{what}, mean of {seeds} probes of the tokens", span=span),
        fact(f"{own}_random", "control: random codes with the tokenizer's code frequencies", "clip"),
        fact(f"{own}_shuffled", "control: trained with labels shuffled over the clips", "clip"),
        fact(f"{own}_logmel", "reference: log-mel spectrogram in place of tokens", "clip"),
        fact(f"{own}_logmel_shuffled", "control: log-mel, trained with shuffled labels", "clip"),
        *chance,
        fact(f"{own}_spread", f"standard deviation over the {seeds} probes"),
        fact(f"{name}_converged", f"share of the {seeds} probes that converged; below 1, there is no score"),
        fact(f"{name}_unseen", "share of test codes seen in fewer than 2 training clips"),
        weight(question),
    )


def headline(question: str) -> tuple[str, ...]:
    """The columns that tables show; of a label beside them what the commonest would get."""
    chance = (f"{stem(question)}_chance",) if question.startswith(LABEL) else ()
    return (*(f"{score(question)}{control}" for control in ("", "_random", "_logmel")), *chance)


def _rates(question: str) -> Mapping[Domain, int]:
    return dict.fromkeys(domains(question), 0)
