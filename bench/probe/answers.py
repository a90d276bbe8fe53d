"""What a probe answers: a label or a text, or of log-mel how far off it was; how that is learned, read from the network's outputs, and
counted. One class for each kind of question; the network's outputs are [B, outputs] of clips or [B, T, outputs] of frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.evaluators.texts import characters
from bench.probe.inputs import BANDS, standardised
from bench.probe.questions import Question

BLANK = 0  # of CTC: character i is output i + 1


@dataclass(frozen=True)
class Squares:
    """How far a spectrogram was off, and how far one would be that is the same at every moment: sums of squares, of the mean band."""

    error: float
    total: float


Answer = str | Squares
View = tuple[str, int]
"""A clip, and which of its views."""


class Aim(Protocol):
    """What the network learns, and how its outputs are read."""

    outputs: int
    framewise: bool

    def loss(self, logits: Tensor, lengths: Tensor, asked: Sequence[View]) -> Tensor:
        """Of a batch to learn from, in which clip i has `lengths[i]` frames."""
        ...

    def answer(self, logits: Tensor, clip: str) -> Answer:
        """Of a clip as it is, from its own outputs [outputs] or [T, outputs]."""
        ...

    def constant(self, clips: Sequence[str]) -> dict[str, Answer]:
        """The best answer that is the same for all of these."""
        ...

    def ignorance(self, clips: Sequence[str]) -> float:
        """The loss of a guess that knows of these only how often each answer comes."""
        ...


class Labels:
    """One of the question's labels."""

    framewise = False

    def __init__(self, question: Question, right: Mapping[str, str]):
        self.labels, self.right, self.outputs = question.labels, right, len(question.labels)
        self.index = {label: i for i, label in enumerate(question.labels)}

    def loss(self, logits: Tensor, lengths: Tensor, asked: Sequence[View]) -> Tensor:
        """Nats a clip."""
        return F.cross_entropy(logits, torch.tensor([self.index[self.right[clip]] for clip, _ in asked]))

    def answer(self, logits: Tensor, clip: str) -> str:
        return self.labels[int(logits.argmax(-1))]

    def constant(self, clips: Sequence[str]) -> dict[str, Answer]:
        return dict.fromkeys(clips, Counter(self.right[clip] for clip in clips).most_common(1)[0][0])

    def ignorance(self, clips: Sequence[str]) -> float:
        return entropy(Counter(self.right[clip] for clip in clips))


class Letters:
    """A text, spelled with the question's labels (CTC)."""

    framewise = True

    def __init__(self, question: Question, right: Mapping[str, str]):
        self.labels, self.right, self.outputs = question.labels, right, len(question.labels) + 1  # the blank
        self.index = {label: i for i, label in enumerate(question.labels)}

    def loss(self, logits: Tensor, lengths: Tensor, asked: Sequence[View]) -> Tensor:
        """Nats a character."""
        texts = [[self.index[c] + 1 for c in self.right[clip]] for clip, _ in asked]
        targets, sizes = torch.tensor([i for text in texts for i in text]), torch.tensor([len(text) for text in texts])
        # a clip shorter than its text has no path: it is left out, not infinite
        return F.ctc_loss(logits.log_softmax(-1).transpose(0, 1), targets, lengths, sizes, BLANK, zero_infinity=True)

    def answer(self, logits: Tensor, clip: str) -> str:
        return spell(logits.argmax(-1).tolist(), self.labels)

    def constant(self, clips: Sequence[str]) -> dict[str, Answer]:
        return dict.fromkeys(clips, "")

    def ignorance(self, clips: Sequence[str]) -> float:
        return entropy(Counter(letter for clip in clips for letter in self.right[clip]))


class Spectra:
    """The log-mel of every frame, each band with mean 0 and deviation 1 over what there is to learn from.

    `learned_as`: the clip whose spectrogram a clip to learn from has, itself or, of the control, another.
    """

    framewise, outputs = True, BANDS

    def __init__(self, mel: Mapping[str, Sequence[np.ndarray]], learned_as: Mapping[str, str]):
        self.right, self.learned_as = standardised(mel, learned_as), learned_as

    def loss(self, logits: Tensor, lengths: Tensor, asked: Sequence[View]) -> Tensor:
        """Mean squared error."""
        found = [row[:n] for row, n in zip(logits, lengths.tolist(), strict=True)]
        right = [self._views(clip, view, len(one)) for (clip, view), one in zip(asked, found, strict=True)]
        return F.mse_loss(torch.cat(found), torch.cat(right))

    def _views(self, clip: str, view: int, frames: int) -> Tensor:
        """So many frames; those of another clip come again where they are too few, and the last frame where rounding lost one."""
        other = self.learned_as.get(clip, clip)
        right = torch.from_numpy(self.right[other][view])
        index = torch.arange(frames)
        return right[index.clamp_max(len(right) - 1) if other == clip else index % len(right)]

    def answer(self, logits: Tensor, clip: str) -> Squares:
        right = self._views(clip, 0, len(logits))
        return Squares(float((logits - right).square().sum()) / BANDS, float(right.square().sum()) / BANDS)

    def constant(self, clips: Sequence[str]) -> dict[str, Answer]:
        totals = {clip: float(np.square(self.right[self.learned_as.get(clip, clip)][0]).sum()) / BANDS for clip in clips}
        return {clip: Squares(total, total) for clip, total in totals.items()}

    def ignorance(self, clips: Sequence[str]) -> float:
        return 1.0  # the deviation


def entropy(seen: Counter[str]) -> float:
    """In nats, of how often each came."""
    share = np.array(list(seen.values())) / seen.total()
    return -float((share * np.log(share)).sum())


def spell(best: Sequence[int], labels: Sequence[str]) -> str:
    """The best output of each frame -> a text: repeats count once, then blanks fall out (Graves et al. 2006)."""
    return "".join(labels[output - 1] for output, _ in groupby(best) if output != BLANK)


def mistakes(question: Question, right: str, answer: Answer) -> tuple[float, float]:
    """Mistakes and how many there could be: characters, the one label, or sums of squares."""
    if isinstance(answer, Squares):
        return answer.error, answer.total
    if not question.sequence:
        return int(answer != right), 1
    errors = characters(right, answer)
    return errors.count, errors.length
