"""Training of a language model with a fixed budget, stopped where other speakers and texts say so, and the bits of the clips of the test.

Of a stream of many codes a second the model reads all and is asked about some: going through the codes of each frame takes most of the
time, and less audio teaches it less than fewer answers (as CSM's authors train theirs, on one frame of sixteen: Sesame 2025, "Crossing the
uncanny valley of conversational voice", "Compute amortization").

What is tested is the average of the weights over the last steps, as the weights themselves rise and fall from step to step while they are
learned fast (Polyak and Juditsky 1992; how far back: AVERAGED).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from bench.lm import windows
from bench.lm.coding import CONTEXT, SHORT, Coder, Training
from bench.lm.network import LanguageModel
from bench.lm.windows import Window
from bench.records.writer import replace

BATCH = 10.0  # seconds of audio in a step
PASSES, FEWEST_STEPS = 7, 600
PARTS = 10  # of a training: after each, the clips that stop it are asked
PATIENCE = 2  # parts without a better answer, after which it ends
AVERAGED = 0.1  # of the steps: how far back the average of the weights reaches
WARM_UP = 0.05  # the share of the steps up to the highest learning rate
DECAY, CLIP = 0.01, 1.0  # of its weights, and the largest norm of gradients
SETTLED = 0.02  # of the zero-order bits: a model has converged where the second half of its budget gained no more


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
    """A model that learns."""

    def __init__(self, training: Training, patience: int = PATIENCE):
        """`patience`: parts without a better answer, after which it ends; PARTS: it goes on to the end of its budget."""
        self.patience = patience
        self.training, self.rng = training, np.random.default_rng(training.seed)
        self.coder = Coder(training)
        self.model, self.steps = self.coder.model, training.steps
        self.optimiser = torch.optim.AdamW(_groups(self.model), lr=training.peak, betas=(0.9, 0.95), fused=True)
        self.average = AveragedModel(self.model, multi_avg_fn=partial(_averaged, span=max(1.0, AVERAGED * self.steps)))
        self.feed = self._batches()
        self.step = 0
        self.curve = [Point(0, None, self.coder.stopping()[1])]
        self.best, self.kept = self.curve[0], _weights(self.model)

    def part(self) -> Point:
        """The next part of the budget; nothing more where patience has ended."""
        ended = len(self.curve) - 1 - self.curve.index(self.best) >= self.patience
        target = math.ceil(self.steps * len(self.curve) / PARTS)
        if ended or self.step >= self.steps:
            return self.curve[-1]
        losses = [self._learned(batch) for batch in islice(self.feed, target - self.step)]
        learning = _weights(self.model)
        self.take_average()
        self.curve.append(Point(self.step, float(np.mean(losses)) / math.log(2), self.coder.stopping()[1]))
        if self.curve[-1].dev < self.best.dev:
            self.best, self.kept = self.curve[-1], _weights(self.model)
        self.model.load_state_dict(learning)
        return self.curve[-1]

    def take_average(self) -> None:
        """The model's weights become those that are tested."""
        self.model.load_state_dict(self.average.module.state_dict())

    def outcome(self) -> Outcome:
        """The last part; then the best model is tested, and left where it is to be kept."""
        self.part()
        self.model.load_state_dict(self.kept)
        coder, training = self.coder, self.training
        if training.keep:
            training.keep.parent.mkdir(parents=True, exist_ok=True)
            replace(training.keep, save({name: weight.contiguous() for name, weight in self.kept.items()}))
        shares, _ = coder.stopping()
        bits = coder.bits(training.test, shares)
        short = {} if training.beside else coder.bits(training.test, shares, SHORT)
        codes = sum(training.streams[clip].codes.size for clip in training.dev)
        return Outcome(
            settled(self.curve, self.steps, sum(coder.zero_order_bits(training.dev).values()) / codes),
            self.best.step,
            self.steps,
            {clip: tuple(found.sum(0).tolist()) for clip, found in bits.items()},
            {clip: float(found.sum()) for clip, found in short.items()},
            coder.zero_order_bits(training.test),
            tuple(shares.tolist()),
            sum(p.numel() for p in self.model.parameters()),
            coder.macs_per_s(),
            tuple(self.curve),
        )

    def _batches(self) -> Iterator[list[Window]]:
        """Every frame to learn from once in each pass, without end."""
        frames = {clip: len(self.coder.numbers[clip]) for clip in self.training.train}
        at_once, length = (max(1, round(seconds * self.training.rate)) for seconds in (BATCH, CONTEXT))
        while any(frames.values()):
            yield from windows.batches(windows.learned(frames, length, self.rng), at_once, self.rng)

    def _learned(self, batch: Sequence[Window]) -> float:
        """One step; the mean nats of a code before it."""
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.training.peak * schedule(self.step, self.steps)
        loss = -self.coder.predicted(batch, self._answered(batch)).mean()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimiser.step()
        self.average.update_parameters(self.model)
        self.step += 1
        return loss.item()

    def _answered(self, batch: Sequence[Window]) -> Tensor:
        """The frames of a batch [n], counted row by row, whose codes are learned from; all of them are read."""
        frames = windows.counts(batch).flatten().nonzero()[:, 0]
        most = self.training.answered / (self.training.rate * self.training.layout.columns) * len(frames)
        if most >= len(frames):
            return frames
        return frames[np.sort(self.rng.choice(len(frames), max(1, round(most)), replace=False))]


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of them."""
    return copy.deepcopy(model.state_dict())


@torch.no_grad()
def _averaged(averages: Sequence[Tensor], weights: Sequence[Tensor], count: Tensor | int, span: float) -> None:
    """Moves averages, of `count` steps, towards the weights of the next: the mean of all, after `span` steps an exponential one."""
    for average, weight in zip(averages, weights, strict=True):
        average.lerp_(weight, 1 / min(float(count) + 1, span))


def settled(curve: Sequence[Point], steps: int, zero_order: float) -> bool:
    """Whether the second half of the budget gained little; zero_order: bits of a code. By then the learning rate has yet to fall."""
    before = min(point.dev for point in curve if point.step <= steps / 2)
    return before - min(point.dev for point in curve) <= SETTLED * zero_order


def schedule(step: int, steps: int) -> float:
    """The learning rate as a share of the highest: up to it in a line, down by a cosine."""
    return min(1.0, (step + 1) / max(1.0, WARM_UP * steps)) * (1 + math.cos(math.pi * step / steps)) / 2


def _groups(model: nn.Module) -> list[dict]:
    """Of what learns, matrices decay; biases and tables do not."""
    tables = [module.weight for module in model.modules() if isinstance(module, nn.Embedding | LanguageModel)]
    learning = [p for p in model.parameters() if p.requires_grad]
    decay: list[Tensor] = [p for p in learning if p.ndim > 1 and not any(p is table for table in tables)]
    rest: list[Tensor] = [p for p in learning if not any(p is other for other in decay)]
    return [{"params": decay, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}]
