"""One run of one tokenizer, and what is asked of it, for tests of suites that have an evaluator."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from bench import registry
from bench.api import Data, Row, Spec, Suite, Variant
from bench.engine.run import Options, Run, run


def once(variant: str | Variant, what: Suite, data: Data, results: Path, **options: object) -> Run:
    """A run in one worker process."""
    chosen = registry.variant(variant) if isinstance(variant, str) else variant
    return next(iter(run([chosen], what, data, replace(Options(results, workers=1), **options))))


def column(done: Run, metric: str) -> dict[str, Row]:
    """A metric's rows by clip."""
    return {row.clip: row for row in done.rows if row.metric == metric}


def mean(done: Run, metric: str) -> float:
    """A metric's mean."""
    return next(s.mean for s in done.summaries if s.metric == metric)


class Noisy:
    """16-bit samples; decode adds white noise of a stated level below the signal's."""

    def __init__(self, spec: Spec, decibels: float):
        self.spec, self.decibels = spec, decibels

    def encode(self, wav: Tensor) -> Tensor:
        return ((wav.clamp(-1, 1) + 1) * 32_767.5).round().long()

    def decode(self, codes: Tensor) -> Tensor:
        return noisy(codes / 32_767.5 - 1, self.decibels)


def noisy(wav: Tensor, decibels: float) -> Tensor:
    """wav with white noise of a level below its own."""
    noise = torch.randn(wav.shape, generator=torch.Generator().manual_seed(0))
    return wav + noise * wav.square().mean().sqrt() * 10 ** (-decibels / 20)
