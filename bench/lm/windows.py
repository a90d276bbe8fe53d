"""Windows of clips: what a model sees at once. Every code of a clip is counted in one window, and sees what came before it there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """Frames [start, stop) of a clip, those from `counted` on to be counted. The frame before the first is seen, too, if there is one."""

    clip: str
    start: int
    stop: int
    counted: int

    @property
    def frames(self) -> int:
        """Its length."""
        return self.stop - self.start


def tested(clip: str, frames: int, length: int) -> Iterator[Window]:
    """All frames of a clip, each after at least half a window (or all) of what came before."""
    start = counted = 0
    while counted < frames:
        stop = min(frames, start + length)
        yield Window(clip, start, stop, counted)
        start, counted = start + max(1, length // 2), stop


def learned(frames: Mapping[str, int], length: int, rng: np.random.Generator) -> list[Window]:
    """All frames of all clips once, those of long clips cut at random places."""
    found = []
    for clip, count in frames.items():
        first = int(rng.integers(1, length + 1)) if count > length else count
        edges = [0, *range(first, count, length), count]
        found += [Window(clip, start, stop, start) for start, stop in zip(edges, edges[1:], strict=False) if stop > start]
    return found


def batches(windows: Sequence[Window], most: int, rng: np.random.Generator | None = None) -> list[list[Window]]:
    """Windows of like length together, at most `most` frames, filled up to the longest, or one window; with `rng` in random order."""
    mixed = [windows[i] for i in rng.permutation(len(windows))] if rng else windows
    found: list[list[Window]] = []
    for window in sorted(mixed, key=lambda window: -window.frames):
        if not found or (len(found[-1]) + 1) * found[-1][0].frames > most:
            found.append([])
        found[-1].append(window)
    return [found[i] for i in rng.permutation(len(found))] if rng else found


def numbers(batch: Sequence[Window], streams: Mapping[str, np.ndarray]) -> Tensor:
    """Numbers [B, F + 1, C]: the frame before the first, then the frames; 0 where there is none."""
    longest, columns = max(window.frames for window in batch), streams[batch[0].clip].shape[1]
    found = np.zeros((len(batch), longest + 1, columns), dtype=np.int64)
    for row, window in zip(found, batch, strict=True):
        before = min(1, window.start)
        row[1 - before : window.frames + 1] = streams[window.clip][window.start - before : window.stop]
    return torch.from_numpy(found)


def counts(batch: Sequence[Window]) -> Tensor:
    """[B, F]: which frames are to be counted."""
    t = torch.arange(max(window.frames for window in batch))
    first, end = (torch.tensor(ends)[:, None] for ends in ([w.counted - w.start for w in batch], [w.frames for w in batch]))
    return (t >= first) & (t < end)
