"""Frames of several clips in one array: the clips' signals stand in a row, so that clips of any lengths are analysed at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.metrics.pair import Pairs

Pad = Callable[[Tensor], Tensor]
Values = TypeVar("Values", Tensor, np.ndarray)
# Samples of a side analysed at once. On a CPU 1 MB an array: a quarter as many take a fifth longer, for the calls; more fall out of the
# caches. On a GPU as many as still leave room for a codec.
PIECE, PIECE_ON_GPU = 1 << 18, 1 << 24


@dataclass(frozen=True)
class Frames:
    """Frames of both sides; some lie across the border of two clips and belong to none."""

    ref: Tensor  # [n, window], a view
    est: Tensor
    owner: Tensor  # [n] number of the clip; the number of clips where a frame belongs to none
    counts: tuple[int, ...]  # frames of each clip
    starts: tuple[int, ...]  # number of each clip's first frame

    def pieces(self) -> Iterator[Frames]:
        """The same, as many at a time as a device handles best."""
        size = (PIECE if self.ref.device.type == "cpu" else PIECE_ON_GPU) // self.ref.shape[-1]
        for start in range(0, len(self.owner), size):
            rows = slice(start, start + size)
            yield replace(self, ref=self.ref[rows], est=self.est[rows], owner=self.owner[rows])

    def clips(self, values: Values) -> list[Values]:
        """Values of all frames [n, ...] clip by clip."""
        return [values[start : start + count] for start, count in zip(self.starts, self.counts, strict=True)]


def framed(pairs: Pairs, window: int, hop: int, pad: Pad) -> Frames:
    """All frames of every pair; `pad` puts around a signal [T] what its first and last frames reach."""
    refs, ests = [pad(ref) for ref in pairs.refs], [pad(est) for est in pairs.ests]
    counts = tuple((len(ref) - window) // hop + 1 for ref in refs)
    starts = tuple(accumulate((-(-len(ref) // hop) for ref in refs[:-1]), initial=0))
    owner = torch.full((starts[-1] + counts[-1],), len(pairs))
    for clip, (start, count) in enumerate(zip(starts, counts, strict=True)):
        owner[start : start + count] = clip
    ref, est = (_in_a_row(side, hop).unfold(0, window, hop)[: len(owner)] for side in (refs, ests))
    return Frames(ref, est, owner.to(pairs.device), counts, starts)


def _in_a_row(signals: Sequence[Tensor], hop: int) -> Tensor:
    """Each begins a whole number of hops after the one before."""
    if len(signals) == 1:
        return signals[0]
    return torch.cat([F.pad(signal, (0, -len(signal) % hop)) for signal in signals])


def per_clip(values: Tensor, owner: Tensor, clips: int) -> Tensor:
    """Sum of values [n, ...] of each clip [clips], in double precision."""
    if clips == 1:
        return values.sum()[None].double()
    rows = values.sum(tuple(range(1, values.ndim))) if values.ndim > 1 else values
    return rows.new_zeros(clips + 1, dtype=torch.float64).index_add_(0, owner, rows.double())[:clips]


def highest(values: Tensor, owner: Tensor, clips: int) -> Tensor:
    """Largest of values [n] of each clip [clips + 1]; of what belongs to none, too."""
    if clips == 1:
        return values.amax()[None].expand(2)
    return values.new_full((clips + 1,), -torch.inf).scatter_reduce_(0, owner, values, "amax")
