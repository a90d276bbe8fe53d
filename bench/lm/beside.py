"""What a model may be given beside the codes that came before: a clip's transcript, or the codes of a changed version of its audio."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.lm.streams import Stream
from bench.lm.windows import Window

NOTHING = -1  # in place of a code that is not there


@dataclass(frozen=True)
class Text:
    """Transcripts as numbers from 1."""

    letters: Mapping[str, np.ndarray]  # by clip, [L]
    size: int  # how many different ones there are
    rate: float  # letters a second, in the clips to learn from: where in a transcript a moment may be

    def batch(self, batch: Sequence[Window], rate: float) -> list[Tensor]:
        """Letters [B, L], 0 where there is none, and how long after each letter's likely time each frame is, in seconds [B, F, L]."""
        longest = max(1, *(len(self.letters[window.clip]) for window in batch))
        found = np.zeros((len(batch), longest), dtype=np.int64)
        for row, window in zip(found, batch, strict=True):
            row[: len(self.letters[window.clip])] = self.letters[window.clip]
        frames = torch.arange(max(window.frames for window in batch))
        times = (frames + torch.tensor([[window.start] for window in batch])) / rate
        return [torch.from_numpy(found), times[..., None] - (torch.arange(longest) + 0.5) / self.rate]


@dataclass(frozen=True)
class Other:
    """Codes of another version, frame by frame beside the clip's own."""

    streams: Mapping[str, Stream]  # by clip


Beside = Text | Other


def text(said: Mapping[str, str], seconds: Mapping[str, float], train: Sequence[str]) -> Text:
    """Of transcripts by clip; characters that no clip to learn from has are all the same."""
    known = {letter: number for number, letter in enumerate(sorted({letter for clip in train for letter in said[clip]}), 2)}
    letters = {clip: np.array([known.get(letter, 1) for letter in line], dtype=np.int64) for clip, line in said.items()}
    rate = sum(len(said[clip]) for clip in train) / sum(seconds[clip] for clip in train)
    return Text(letters, len(known) + 1, max(rate, 1.0))


def other(streams: Mapping[str, Stream], of: Mapping[str, Stream]) -> Other:
    """Those streams, each as long as that of the same clip in `of`: cut, or its last frame repeated; of a clip that has none, no codes."""

    def beside(clip: str, own: Stream) -> Stream:
        if clip not in streams:
            return Stream(np.full(own.codes.shape, NOTHING), own.seconds)
        codes = streams[clip].codes
        return Stream(codes[np.minimum(np.arange(len(own.codes)), len(codes) - 1)], own.seconds)

    return Other({clip: beside(clip, own) for clip, own in of.items()})


def digest(beside: Beside) -> str:
    """Eight characters that differ where what is given differs."""
    held = beside.letters if isinstance(beside, Text) else {clip: stream.codes for clip, stream in beside.streams.items()}
    found = hashlib.sha256(repr(sorted((clip, array.shape, array.dtype.str) for clip, array in held.items())).encode())
    for clip in sorted(held):
        found.update(held[clip].tobytes())
    return found.hexdigest()[:8]
