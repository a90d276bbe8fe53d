"""A model with its clips: what it takes every code for, in nats or bits.

What is written down as its code length is a mixture of the model and the zero-order one, with a share for each column that is fitted on
the clips that stop the learning: a code that was never learned from costs what the zero-order model takes for it, never infinity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.lm import windows
from bench.lm.beside import Beside, Text
from bench.lm.conditioned import GivenCodes, GivenText
from bench.lm.layouts import Layout
from bench.lm.network import BODIES, Body, LanguageModel
from bench.lm.streams import Alphabet, Stream, Vocabulary
from bench.lm.windows import Window

CONTEXT, SHORT = 8.0, 2.0  # seconds that a model sees at most, and in the other column
TEST_BATCH = 40.0  # seconds of audio at once
RATE = 3e-3  # the highest learning rate of the suite
ANSWERED = 300.0  # codes of a second of audio that it learns from at most in a step
ROUNDS, LEAST = 50, 1e-4  # of fitting the mixture; the smallest share of the zero-order model


@dataclass(frozen=True)
class Training:
    """One model to be trained: all that a worker process needs."""

    layout: Layout
    alphabet: Alphabet
    streams: Mapping[str, Stream]  # by clip id
    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]
    rate: float  # frames a second
    seed: int
    steps: int  # PARTS at least
    body: Body = BODIES["small"]
    device: str = "cpu"
    peak: float = RATE  # the highest learning rate
    answered: float = math.inf  # codes of a second of audio that a step learns from at most: of a longer stream, those of random frames
    dropout: float = 0.0  # the share of what each layer adds that is left out, anew in every step
    keep: Path | None = None  # the file that its weights are left in
    start: Path | None = None  # the file of the weights that it begins with
    beside: Beside | None = None  # what else it is given of each clip; then the weights that it begins with stay as they are


class Coder:
    """The model of a training, and the numbers of its clips."""

    def __init__(self, training: Training):
        self.training = training
        self.vocabulary = Vocabulary(training.alphabet, [training.streams[clip] for clip in training.train])
        wanted = (*training.train, *training.dev, *training.test)
        self.numbers = {clip: self.vocabulary.numbers(training.streams[clip]) for clip in wanted}
        priors = [torch.from_numpy(table.prior()) for table in self.vocabulary.zero_order]
        self.plain = LanguageModel(training.layout, training.body, training.alphabet.tables, priors, training.dropout)
        if training.start:
            self.plain.load_state_dict(load_file(training.start))
        beside = training.beside
        self.model: nn.Module = self.plain
        if isinstance(beside, Text):
            self.model = GivenText(self.plain, training.body, beside.size)
        elif beside:
            self.others = {clip: self.vocabulary.numbers(beside.streams[clip]) for clip in wanted}
            self.model = GivenCodes(self.plain, training.body)
        self.model.to(training.device)

    def predicted(self, batch: Sequence[Window], where: Tensor | None = None) -> Tensor:
        """The model's log p of windows [B, F, C], or of those of their frames [n, C], counted row by row."""
        given = [windows.numbers(batch, self.numbers)]
        if isinstance(self.training.beside, Text):
            given += self.training.beside.batch(batch, self.training.rate)
        elif self.training.beside:
            given.append(windows.numbers(batch, self.others)[:, 1:])
        numbers, *others = (part.to(self.training.device) for part in given)
        return self.model(numbers, None if where is None else where.to(self.training.device), *others)

    @torch.no_grad()
    def log_p(self, clips: Iterable[str], seconds: float = CONTEXT) -> dict[str, np.ndarray]:
        """The model's own log p [F, C], in nats; minus infinity for a code that it does not know."""
        self.model.eval()
        clips, length = list(clips), max(1, round(seconds * self.training.rate))
        found = {clip: np.full(self.numbers[clip].shape, -np.inf) for clip in clips}
        asked = [window for clip in clips for window in windows.tested(clip, len(self.numbers[clip]), length)]
        for batch in windows.batches(asked, max(1, round(TEST_BATCH * self.training.rate))):
            log_p = self.predicted(batch).double().cpu().numpy()
            for window, row in zip(batch, log_p, strict=True):
                places = slice(window.counted, window.stop)
                own = row[window.counted - window.start : window.frames]
                found[window.clip][places] = np.where(self.numbers[window.clip][places] > 0, own, -np.inf)
        return found

    def bits(self, clips: Iterable[str], shares: np.ndarray, seconds: float = CONTEXT) -> dict[str, np.ndarray]:
        """Bits [F, C] of every code of clips, seeing so many seconds; `shares`: of the zero-order model."""
        found = self.log_p(clips, seconds)
        return {clip: -mixed(log_p, self.zero_order(clip), shares) / math.log(2) for clip, log_p in found.items()}

    def stopping(self) -> tuple[np.ndarray, float]:
        """Of the clips that stop the learning: the zero-order model's shares [C] that suit them best, and their mean bits of a code."""
        found = self.log_p(self.training.dev)
        own, zero_order = np.concatenate(list(found.values())), np.concatenate([self.zero_order(clip) for clip in found])
        shares = fitted(own, zero_order)
        return shares, -float(mixed(own, zero_order, shares).mean()) / math.log(2)

    def zero_order(self, clip: str) -> np.ndarray:
        """log p [F, C] of each code of a clip by itself."""
        return self.vocabulary.log_p(self.training.streams[clip])

    def zero_order_bits(self, clips: Iterable[str]) -> dict[str, float]:
        """All of each clip."""
        return {clip: -float(self.zero_order(clip).sum()) / math.log(2) for clip in clips}

    def macs_per_s(self) -> float:
        """Multiply-accumulates of the plain model per second of audio, in a window of CONTEXT."""
        length = max(1, round(CONTEXT * self.training.rate))
        given = torch.zeros(1, length + 1, self.training.layout.columns, dtype=torch.int64, device=self.training.device)
        with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            self.plain(given)
        return counter.get_total_flops() / 2 * self.training.rate / length


def mixed(log_p: np.ndarray, zero_order: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """log p of the mixture, each [..., C]; shares [C]."""
    with np.errstate(divide="ignore"):
        return np.logaddexp(np.log1p(-shares) + log_p, np.log(shares) + zero_order)


def fitted(log_p: np.ndarray, zero_order: np.ndarray) -> np.ndarray:
    """The shares [C] of the zero-order model that make codes [n, C] likeliest (expectation maximisation)."""
    shares = np.full(log_p.shape[-1], 0.1)
    for _ in range(ROUNDS):
        shares = np.exp(np.log(shares) + zero_order - mixed(log_p, zero_order, shares)).mean(0).clip(LEAST, 1 - LEAST)
    return shares
