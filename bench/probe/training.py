"""Training of a probe: a fixed number of steps, a test, and whether it converged. See `Outcome`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.evaluators.texts import characters
from bench.probe.inputs import BANDS, Tokens, Vocabulary, frames, random_tokens, standardised
from bench.probe.network import WIDTH, Codes, Probe
from bench.probe.questions import Question

BATCH = 32
RATE, WEIGHTS_RATE, WARM_UP, DECAY = 5e-3, 5e-2, 20, 0.01  # of AdamW: learning rates (the codebook weights' own), steps, weight decay
POINTS = 10  # of a learning curve
BLANK = 0  # of CTC: character i is output i + 1
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


@dataclass(frozen=True)
class Point:
    """Of a learning curve: after `step` steps, the mean loss since the point before, and the error in the test."""

    step: int
    loss: float
    test_error: float


@dataclass(frozen=True)
class Outcome:
    """What became of a probe. Errors are shares: of clips that got a wrong label, or edits over characters."""

    converged: bool
    train_error: float
    constant_error: float  # of the best constant answer, on the same clips: the commonest label, or no text at all
    test_error: float
    unseen: float | None  # share of the codes in the test that cannot have been learned; None: log-mel has no codes
    weights: tuple[float, ...]  # of the codebooks; their sum is 1
    answers: Mapping[str, str]  # by clip of the test
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
        self.right = {**self.question.test, **self._to_learn()}
        self.index = {label: i for i, label in enumerate(self.question.labels)}
        outputs = len(self.question.labels) + self.question.sequence  # and the blank
        self.probe = Probe(self.source, outputs, self.question.sequence)

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

    def _to_learn(self) -> dict[str, str]:
        """The answers of the clips to learn from; shuffled, each has another's."""
        answers = [self.question.train[clip] for clip in self.train]
        if self.training.shuffled:
            answers = [answers[i] for i in torch.randperm(len(answers)).tolist()]
        return dict(zip(self.train, answers, strict=True))

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
        constant = self._error(dict.fromkeys(self.train, self._constant()))
        converged = train_error <= LEARNED * constant and learned(losses, self._ignorance())
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
        """Nats a clip, or a character (CTC)."""
        logits, lengths = self._logits(clips)
        if not self.question.sequence:
            return F.cross_entropy(logits, torch.tensor([self.index[self.right[clip]] for clip in clips]))
        texts = [[self.index[c] + 1 for c in self.right[clip]] for clip in clips]
        targets, sizes = torch.tensor([i for text in texts for i in text]), torch.tensor([len(text) for text in texts])
        # a clip shorter than its text has no path: it is left out, not infinite
        return F.ctc_loss(logits.log_softmax(-1).transpose(0, 1), targets, lengths, sizes, BLANK, zero_infinity=True)

    def _logits(self, clips: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Of a batch, and the frames of each clip."""
        views = [int(torch.randint(len(self.x[clip]), ())) if self.probe.training else 0 for clip in clips]
        frames = [torch.from_numpy(self.x[clip][view]) for clip, view in zip(clips, views, strict=True)]
        lengths = torch.tensor([len(frame) for frame in frames])
        x = nn.utils.rnn.pad_sequence(frames, batch_first=True)
        return self.probe(x, torch.arange(x.shape[1]) < lengths[:, None]), lengths

    @torch.no_grad()
    def _answers(self, clips: Sequence[str]) -> dict[str, str]:
        self.probe.eval()
        answers: dict[str, str] = {}
        for start in range(0, len(clips), BATCH):
            batch = clips[start : start + BATCH]
            logits, lengths = self._logits(batch)
            for clip, best, length in zip(batch, logits.argmax(-1), lengths.tolist(), strict=True):
                answers[clip] = (
                    spell(best[:length].tolist(), self.question.labels) if self.question.sequence else self.question.labels[best]
                )
        return answers

    def _error(self, answers: Mapping[str, str]) -> float:
        found = [mistakes(self.question, self.right[clip], answer) for clip, answer in answers.items()]
        return sum(errors for errors, _ in found) / max(1, sum(length for _, length in found))

    def _constant(self) -> str:
        return "" if self.question.sequence else Counter(self.right[clip] for clip in self.train).most_common(1)[0][0]

    def _ignorance(self) -> float:
        """The loss, in nats, of a guess that knows only how often each label comes."""
        seen = Counter(label for clip in self.train for label in (self.right[clip] if self.question.sequence else [self.right[clip]]))
        share = np.array(list(seen.values())) / seen.total()
        return -float((share * np.log(share)).sum())


def learned(losses: Sequence[float], ignorance: float) -> bool:
    """Whether the loss of every step had come down from that of ignorance, and had settled there."""
    quarter = len(losses) // 4
    third, last = np.mean(losses[-2 * quarter : -quarter]), np.mean(losses[-quarter:])
    return bool(last <= LEARNED * ignorance and third - last <= SETTLED * ignorance)


def spell(best: Sequence[int], labels: Sequence[str]) -> str:
    """The best output of each frame -> a text: repeats count once, then blanks fall out (Graves et al. 2006)."""
    return "".join(labels[output - 1] for output, _ in groupby(best) if output != BLANK)


def mistakes(question: Question, right: str, answer: str) -> tuple[int, int]:
    """Mistakes and how many there could be: characters, or the one label."""
    if not question.sequence:
        return int(answer != right), 1
    errors = characters(right, answer)
    return errors.count, errors.length
