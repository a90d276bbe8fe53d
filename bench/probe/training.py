"""Training of a probe: a fixed number of steps, a test, and whether it converged. See `Outcome`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from bench.probe.answers import Aim, Answer, Labels, Letters, Spectra, mistakes
from bench.probe.inputs import BANDS, Tokens, Vocabulary, frames, random_tokens, standardised
from bench.probe.network import WIDTH, Codes, Probe
from bench.probe.questions import Question

BATCH = 32
RATE, WEIGHTS_RATE, WARM_UP, DECAY = 5e-3, 5e-2, 20, 0.01  # of AdamW: learning rates (the codebook weights' own), steps, weight decay
POINTS = 10  # of a learning curve
LEARNED = 0.5  # a probe has converged where its error and its loss on what it learned from are at most this share of a constant answer's,
SETTLED = 0.1  # and the loss fell by at most this share of it between the third and the last quarter of the steps


@dataclass(frozen=True)
class Training:
    """One probe to be trained: all that a worker process needs."""

    question: Question
    seed: int
    steps: int  # 4 at least
    tokens: Mapping[str, Sequence[Tokens]] = field(default_factory=dict)  # by clip id, of its views, the clip as it is first
    rate: float = math.nan  # codes per second of a codebook
    mel: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)  # in place of tokens: [T, BANDS]
    randomised: bool = False  # the control whose tokens know nothing
    shuffled: bool = False  # the control that learns from another clip's answers
    spectra: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)  # the answers to `mel`: [T, BANDS] of the same views


@dataclass(frozen=True)
class Point:
    """Of a learning curve: after `step` steps, the mean loss since the point before, and the error in the test."""

    step: int
    loss: float
    test_error: float


@dataclass(frozen=True)
class Outcome:
    """What became of a probe. Errors are shares: of clips that got a wrong label, edits over characters, or of the spectra's variance."""

    converged: bool
    train_error: float
    constant_error: float  # of the best constant answer, on the same clips: the commonest label, no text at all, the mean spectrum
    test_error: float
    unseen: float | None  # share of the codes in the test that cannot have been learned; None: log-mel has no codes
    weights: tuple[float, ...]  # of the codebooks; their sum is 1
    answers: Mapping[str, Answer]  # by clip of the test
    curve: tuple[Point, ...]


def learn(training: Training, steps: Sequence[str]) -> Iterator[Outcome]:
    """A task for worker processes: one step, one probe."""
    for _ in steps:
        # the generator of all, put back afterwards: layers and dropout of torch know no other
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            before = torch.are_deterministic_algorithms_enabled()
            torch.use_deterministic_algorithms(True)
            try:
                yield _Learner(training).outcome()
            finally:
                torch.use_deterministic_algorithms(before)


class _Learner:
    """A probe with its clips, ready to learn."""

    def __init__(self, training: Training):
        self.training, self.question = training, training.question
        there = training.tokens.keys() | training.mel.keys()
        self.train, self.test = ([clip for clip in part if clip in there] for part in (self.question.train, self.question.test))
        if not self.train or not self.test:
            raise ValueError("no training clip, or no test clip, could be encoded")
        self.unseen: float | None = None
        self.x, self.source = self._mel() if training.mel else self._tokens()
        learned_as = self._learned_as()
        self.right = {**self.question.test, **{clip: self.question.train[other] for clip, other in learned_as.items()}}
        self.aim = self._aim(learned_as)
        self.probe = Probe(self.source, self.aim.outputs, self.aim.framewise)

    def _mel(self) -> tuple[Mapping[str, Sequence[np.ndarray]], nn.Module]:
        """Frames of every view, and the layer that takes them in."""
        return standardised(self.training.mel, self.train), nn.Linear(BANDS, WIDTH)

    def _tokens(self) -> tuple[Mapping[str, Sequence[np.ndarray]], nn.Module]:
        tokens = {clip: self.training.tokens[clip] for clip in (*self.train, *self.test)}
        if self.training.randomised:
            tokens = random_tokens(tokens, self.train, np.random.default_rng(self.training.seed))
        framed = {clip: [frames(view, self.training.rate) for view in views] for clip, views in tokens.items()}
        vocabulary = Vocabulary(framed[clip] for clip in self.train)
        self.unseen = vocabulary.unseen(framed[clip][0] for clip in self.test)
        return {clip: list(map(vocabulary, views)) for clip, views in framed.items()}, Codes(vocabulary.size, len(vocabulary.known))

    def _learned_as(self) -> dict[str, str]:
        """The clip whose answer a clip to learn from has: its own; shuffled, another's."""
        others = self.train
        if self.training.shuffled:
            others = [self.train[i] for i in torch.randperm(len(self.train)).tolist()]
        return dict(zip(self.train, others, strict=True))

    def _aim(self, learned_as: Mapping[str, str]) -> Aim:
        if self.question.spectral:
            return Spectra({clip: self.training.spectra[clip] for clip in (*self.train, *self.test)}, learned_as)
        return Letters(self.question, self.right) if self.question.sequence else Labels(self.question, self.right)

    def outcome(self) -> Outcome:
        """Learns, then is tested."""
        curve, losses = [], []
        marks = {math.ceil(self.training.steps * i / POINTS) for i in range(1, POINTS + 1)}
        for step, loss in enumerate(self._losses(), 1):
            losses.append(loss)
            if step in marks:
                since = losses[curve[-1].step if curve else 0 :]
                curve.append(Point(step, float(np.mean(since)), self._error(self._answers(self.test))))
        train_error, answers = self._error(self._answers(self.train)), self._answers(self.test)
        constant, ignorance = self._error(self.aim.constant(self.train)), self.aim.ignorance(self.train)
        # how much of a spectrum can be told is what is asked: no error is too large, as long as it has settled
        enough = settled if self.question.spectral else learned
        converged = enough(losses, ignorance) and (self.question.spectral or train_error <= LEARNED * constant)
        weights = tuple(self.source.weights().tolist()) if isinstance(self.source, Codes) else ()
        return Outcome(converged, train_error, constant, self._error(answers), self.unseen, weights, answers, tuple(curve))

    def _losses(self) -> Iterator[float]:
        """Takes one step after the other."""
        codebooks = [self.source.logits] if isinstance(self.source, Codes) else []
        others = [p for p in self.probe.parameters() if all(p is not q for q in codebooks)]
        groups = [{"params": others}, {"params": codebooks, "lr": WEIGHTS_RATE, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=RATE, weight_decay=DECAY)
        steps = self.training.steps
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min(1.0, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * step / steps)) / 2
        )
        for batch in islice(self._batches(), steps):
            self.probe.train()
            loss = self._loss(batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            yield loss.item()

    def _batches(self) -> Iterator[list[str]]:
        """Clips in a new order each time round, without end."""
        waiting: list[str] = []
        while True:
            while len(waiting) < BATCH:
                waiting += [self.train[i] for i in torch.randperm(len(self.train)).tolist()]
            yield waiting[:BATCH]
            waiting = waiting[BATCH:]

    def _loss(self, clips: Sequence[str]) -> Tensor:
        views = [int(torch.randint(len(self.x[clip]), ())) for clip in clips]
        return self.aim.loss(*self._logits(clips, views), list(zip(clips, views, strict=True)))

    def _logits(self, clips: Sequence[str], views: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Of a batch, and the frames of each clip."""
        frames = [torch.from_numpy(self.x[clip][view]) for clip, view in zip(clips, views, strict=True)]
        lengths = torch.tensor([len(frame) for frame in frames])
        x = nn.utils.rnn.pad_sequence(frames, batch_first=True)
        return self.probe(x, torch.arange(x.shape[1]) < lengths[:, None]), lengths

    @torch.no_grad()
    def _answers(self, clips: Sequence[str]) -> dict[str, Answer]:
        self.probe.eval()
        answers: dict[str, Answer] = {}
        for start in range(0, len(clips), BATCH):
            batch = clips[start : start + BATCH]
            logits, lengths = self._logits(batch, [0] * len(batch))
            for clip, own, length in zip(batch, logits, lengths.tolist(), strict=True):
                answers[clip] = self.aim.answer(own[:length] if self.aim.framewise else own, clip)
        return answers

    def _error(self, answers: Mapping[str, Answer]) -> float:
        found = [mistakes(self.question, self.right[clip], answer) for clip, answer in answers.items()]
        return sum(errors for errors, _ in found) / (sum(length for _, length in found) or 1)


def learned(losses: Sequence[float], ignorance: float) -> bool:
    """Whether the loss of every step had come down from that of ignorance, and had settled there."""
    return bool(np.mean(losses[-(len(losses) // 4) :]) <= LEARNED * ignorance) and settled(losses, ignorance)


def settled(losses: Sequence[float], ignorance: float) -> bool:
    """Whether the loss of every step hardly fell any more."""
    quarter = len(losses) // 4
    third, last = np.mean(losses[-2 * quarter : -quarter]), np.mean(losses[-quarter:])
    return bool(third - last <= SETTLED * ignorance)
