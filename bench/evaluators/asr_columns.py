"""The columns of an ASR model: its usual ones, and phone error rates on request."""

from __future__ import annotations

from typing import Literal

from bench.api import POSITIVE, SHARE, Metric
from bench.evaluators.asr import AsrJudge
from bench.metrics import SPEECH


def usual(judge: AsrJudge) -> tuple[Metric, ...]:
    """Word and character errors."""
    name, reference = judge.name, "against the reference transcript"
    columns = (
        _rate(f"wer_{name}", f"word error rate {reference} ({judge.about})"),
        _rate(f"cer_{name}", f"character error rate {reference}"),
        _rate(f"wer_{name}_vs_original", "word error rate against what the ASR model outputs for the original (dWER)"),
        _rate(f"wer_{name}_original", "word error rate of the ASR model on the originals", ""),
        Metric(f"wer_{name}_delta", "share", "lower", SPEECH, 0.005, None, "word error rate minus that of the same originals (paired)"),
    )
    return (*columns, _pooled(f"oov_{name}", "share of transcript words outside the ASR model's vocabulary")) if judge.closed else columns


def phonetic(judge: AsrJudge) -> tuple[Metric, ...]:
    """Phone errors."""
    name = judge.name
    return (
        _rate(f"per_{name}", "phone error rate against the reference transcript, both turned to phones by CMUdict"),
        _rate(f"per_{name}_original", "phone error rate of the ASR model on the originals", ""),
        _pooled(f"per_{name}_spelled", "share of transcript words that CMUdict lacks: their letters stand for phones"),
    )


def _rate(name: str, about: str, better: Literal["lower", ""] = "lower") -> Metric:
    return Metric(name, "share", better, SPEECH, 0.005, None, about, span=POSITIVE)


def _pooled(name: str, about: str) -> Metric:
    return Metric(name, "share", "", SPEECH, 0.001, None, about, "corpus", SHARE)
