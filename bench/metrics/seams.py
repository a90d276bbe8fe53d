"""What cutting a clip into pieces costs where they meet, for tokenizers that take no longer clips (`Spec.longest`)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bench.api import Score
from bench.metrics.mel import mel_filters, power_spectra

RATE = 24_000  # Hz
WINDOW, HOP, MELS = 1024, 256, 80
RANGE = 60.0  # dB below the loudest band of ref in any frame: what is quieter counts as silence
FLOOR = 1e-5  # of a magnitude, before its log
NEAR = 0.04  # s from a seam
NO_SEAM = "no seam: the clip is no longer than what the tokenizer takes"
FEW = 4096  # frames at a time


def seam_db(ref: Tensor, est: Tensor, seams: Sequence[float]) -> Score:
    """Log-mel distance in dB within 40 ms of the seams less that elsewhere: 0 where cutting costs nothing.

    ref and est [C, T] at 24 kHz, seams in s. Frames of 43 ms every 11 ms, 80 mels, the mean difference of their levels.
    """
    if not seams:
        return Score(math.nan, note=NO_SEAM)
    if ref.shape[-1] < WINDOW:
        return Score(math.nan, note="the clip is too short")
    distances = torch.stack([_distances(a, b) for a, b in zip(ref, est, strict=True)]).mean(0)
    middles = (torch.arange(len(distances), dtype=torch.float64) * HOP + WINDOW / 2) / RATE
    near = ((middles[:, None] - torch.tensor(seams, dtype=torch.float64)).abs() <= NEAR).any(1)
    if not bool(near.any()) or bool(near.all()):
        return Score(math.nan, note="no frame near a seam, or none elsewhere")
    return Score(float(distances[near].mean() - distances[~near].mean()))


def _distances(ref: Tensor, est: Tensor) -> Tensor:
    """dB of each frame."""
    shape, filters = torch.hann_window(WINDOW), mel_filters(RATE, WINDOW, MELS)
    mels = [
        torch.cat([power_spectra(some * shape).sqrt() @ filters for some in side.unfold(-1, WINDOW, HOP).split(FEW)]) for side in (ref, est)
    ]
    floor = max(FLOOR, float(mels[0].max()) * 10 ** (-RANGE / 20))
    levels = [20 * side.clamp_min(floor).log10() for side in mels]
    return (levels[0] - levels[1]).abs().mean(-1)
