"""Training of a language model with a fixed budget, stopped where other speakers and texts say so, and the bits of the clips of the test.

What is written down as its code length is a mixture of the model and the zero-order one, with a share for each column that is fitted on
the clips that stop the learning: a code that was never learned from costs what the zero-order model takes for it, never infinity.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.lm import windows
from bench.lm.layouts import Layout
from bench.lm.network import BODIES, Body, LanguageModel
from bench.lm.streams import Alphabet, Stream, Vocabulary
from bench.lm.windows import Window

CONTEXT, SHORT = 8.0, 2.0  # seconds that a model sees at most, and in the other column
BATCH, TEST_BATCH = 10.0, 40.0  # seconds of audio at once
PASSES, FEWEST_STEPS = 20, 600
PARTS = 20  # of a training: after each, the clips that stop it are asked
PATIENCE = 5  # parts without a better answer, after which it ends
RATE, WARM_UP = 3e-3, 0.05  # of AdamW: its highest rate, and the share of the steps up to it
DECAY, CLIP = 0.01, 1.0  # of its weights, and the largest norm of gradients
SETTLED = 0.02  # of the zero-order bits: a model has converged where the second half of its budget gained no more
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


@dataclass(frozen=True)
class Point:
    """Of a learning curve: after `step` steps, the mean bits of a code since the point before, and those of the clips that stop it."""

    step: int
    train: float | None  # None: before the first step
    dev: float


@dataclass(frozen=True)
class Outcome:
    """What became of a model. Bits are of all codes of a clip, by column."""

    converged: bool
    best: int  # the step it was kept from
    steps: int  # of the budget
    bits: Mapping[str, tuple[float, ...]]  # by clip of the test
    bits_short: Mapping[str, float]  # seeing SHORT seconds
    zero_order: Mapping[str, float]
    shares: tuple[float, ...]  # of the zero-order model in each column's mixture
    parameters: int
    macs_per_s: float  # multiply-accumulates per second of audio
    curve: tuple[Point, ...]


def budget(seconds: float) -> int:
    """Steps for so many seconds of audio to learn from."""
    return max(FEWEST_STEPS, math.ceil(PASSES * seconds / BATCH))


def learn(training: Training, steps: Sequence[str]) -> Iterator[Point | Outcome]:
    """A task for worker processes of PARTS steps: the points of the learning curve, the last of them the outcome."""
    if len(steps) != PARTS:
        raise ValueError("a training that was stopped begins again, in the next run")
    on_cpu = torch.device(training.device).type == "cpu"
    # the generator of all, put back afterwards: layers of torch know no other
    with torch.random.fork_rng(devices=[] if on_cpu else None):
        torch.manual_seed(training.seed)
        learner = Learner(training)
        for _ in range(PARTS - 1):
            yield learner.part()
        yield learner.outcome()


class Learner:
    """A model with its clips, ready to learn."""

    def __init__(self, training: Training):
        self.training, self.rng = training, np.random.default_rng(training.seed)
        train = [training.streams[clip] for clip in training.train]
        self.vocabulary = Vocabulary(training.alphabet, train)
        wanted = (*training.train, *training.dev, *training.test)
        self.numbers = {clip: self.vocabulary.numbers(training.streams[clip]) for clip in wanted}
        priors = [torch.from_numpy(table.prior()) for table in self.vocabulary.zero_order]
        self.model = LanguageModel(training.layout, training.body, training.alphabet.tables, priors).to(training.device)
        self.steps = training.steps
        self.optimiser = torch.optim.AdamW(_groups(self.model), lr=training.peak, betas=(0.9, 0.95), fused=True)
        self.length = max(1, round(CONTEXT * training.rate))
        self.feed = self._batches()
        self.step = 0
        self.zero_order = self._zero_order_bits(training.dev)
        self.curve = [Point(0, None, self.stopping()[1])]
        self.best, self.kept = self.curve[0], copy.deepcopy(self.model.state_dict())

    def part(self) -> Point:
        """The next part of the budget; nothing more where patience has ended."""
        ended = len(self.curve) - 1 - self.curve.index(self.best) >= PATIENCE
        target = math.ceil(self.steps * len(self.curve) / PARTS)
        if ended or self.step >= self.steps:
            return self.curve[-1]
        losses = [self._learned(batch) for batch in islice(self.feed, target - self.step)]
        self.curve.append(Point(self.step, float(np.mean(losses)) / math.log(2), self.stopping()[1]))
        if self.curve[-1].dev < self.best.dev:
            self.best, self.kept = self.curve[-1], copy.deepcopy(self.model.state_dict())
        return self.curve[-1]

    def outcome(self) -> Outcome:
        """The last part; then the best model is tested."""
        self.part()
        self.model.load_state_dict(self.kept)
        test, (shares, _) = self.training.test, self.stopping()
        bits = self.bits(test, shares)
        short = self.bits(test, shares, SHORT)
        codes = sum(self.training.streams[clip].codes.size for clip in self.training.dev)
        return Outcome(
            settled(self.curve, self.steps, sum(self.zero_order.values()) / codes),
            self.best.step,
            self.steps,
            {clip: tuple(found.sum(0).tolist()) for clip, found in bits.items()},
            {clip: float(found.sum()) for clip, found in short.items()},
            self._zero_order_bits(test),
            tuple(shares.tolist()),
            sum(p.numel() for p in self.model.parameters()),
            self._macs_per_s(),
            tuple(self.curve),
        )

    def bits(self, clips: Iterable[str], shares: np.ndarray, seconds: float = CONTEXT) -> dict[str, np.ndarray]:
        """Bits [F, C] of every code of clips, seeing so many seconds."""
        found = self.log_p(clips, seconds)
        return {
            clip: -mixed(log_p, self.vocabulary.log_p(self.training.streams[clip]), shares) / math.log(2) for clip, log_p in found.items()
        }

    def stopping(self) -> tuple[np.ndarray, float]:
        """Of the clips that stop the learning: the zero-order model's shares [C] that suit them best, and their mean bits of a code."""
        found = self.log_p(self.training.dev)
        own = np.concatenate(list(found.values()))
        zero_order = np.concatenate([self.vocabulary.log_p(self.training.streams[clip]) for clip in found])
        shares = fitted(own, zero_order)
        return shares, -float(mixed(own, zero_order, shares).mean()) / math.log(2)

    @torch.no_grad()
    def log_p(self, clips: Iterable[str], seconds: float = CONTEXT) -> dict[str, np.ndarray]:
        """The model's own log p [F, C], in nats; minus infinity for a code that it does not know."""
        self.model.eval()
        clips, length = list(clips), max(1, round(seconds * self.training.rate))
        found = {clip: np.full(self.numbers[clip].shape, -np.inf) for clip in clips}
        asked = [window for clip in clips for window in windows.tested(clip, len(self.numbers[clip]), length)]
        for batch in windows.batches(asked, self._frames(TEST_BATCH)):
            given = windows.numbers(batch, self.numbers)
            log_p = self.model(given.to(self.training.device)).double().cpu().masked_fill(given[:, 1:] == 0, -math.inf).numpy()
            for window, row in zip(batch, log_p, strict=True):
                found[window.clip][window.counted : window.stop] = row[window.counted - window.start : window.frames]
        return found

    def _frames(self, seconds: float) -> int:
        return max(1, round(seconds * self.training.rate))

    def _batches(self) -> Iterator[list[Window]]:
        """Every frame to learn from once in each pass, without end."""
        frames = {clip: len(self.numbers[clip]) for clip in self.training.train}
        while any(frames.values()):
            yield from windows.batches(windows.learned(frames, self.length, self.rng), self._frames(BATCH), self.rng)

    def _learned(self, batch: Sequence[Window]) -> float:
        """One step; the mean nats of a code before it."""
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.training.peak * schedule(self.step, self.steps)
        given, there = windows.numbers(batch, self.numbers), windows.counts(batch)
        log_p = self.model(given.to(self.training.device))
        loss = -(log_p.mean(-1) * there.to(log_p.device)).sum() / there.sum()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimiser.step()
        self.step += 1
        return loss.item()

    def _zero_order_bits(self, clips: Iterable[str]) -> dict[str, float]:
        return {clip: -float(self.vocabulary.log_p(self.training.streams[clip]).sum()) / math.log(2) for clip in clips}

    def _macs_per_s(self) -> float:
        given = torch.zeros(1, self.length + 1, self.training.layout.columns, dtype=torch.int64, device=self.training.device)
        with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            self.model(given)
        return counter.get_total_flops() / 2 * self.training.rate / self.length


def settled(curve: Sequence[Point], steps: int, zero_order: float) -> bool:
    """Whether the second half of the budget gained little; zero_order: bits of a code. By then the learning rate has yet to fall."""
    before = min(point.dev for point in curve if point.step <= steps / 2)
    return before - min(point.dev for point in curve) <= SETTLED * zero_order


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


def schedule(step: int, steps: int) -> float:
    """The learning rate as a share of the highest: up to it in a line, down by a cosine."""
    return min(1.0, (step + 1) / max(1.0, WARM_UP * steps)) * (1 + math.cos(math.pi * step / steps)) / 2


def _groups(model: nn.Module) -> list[dict]:
    """Matrices decay; biases and tables do not."""
    tables = {model.embedding.weight, model.weight}  # pyright: ignore[reportAttributeAccessIssue]
    decay: list[Tensor] = [p for p in model.parameters() if p.ndim > 1 and not any(p is table for table in tables)]
    rest: list[Tensor] = [p for p in model.parameters() if not any(p is other for other in decay)]
    return [{"params": decay, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}]
