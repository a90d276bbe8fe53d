"""What quality evaluators are given, and what they answer: one channel at the evaluator's own rate in, one number for each column out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from bench.metrics.pair import LOUDEST, SILENCE


@dataclass(frozen=True)
class Sound:
    """What is judged, est [T]; and what it was made from, ref [T], for those that compare."""

    est: Tensor
    ref: Tensor | None = None

    def unfit(self, shortest: int) -> str:
        """Why nobody can judge it, or "": a side with fewer samples than `shortest`, without a sound, or with absurd samples."""
        for side, name in ((self.ref, "original"), (self.est, "reconstruction" if self.ref is not None else "audio")):
            if side is None:
                continue
            if len(side) < shortest:
                return f"the {name} is too short: {len(side)} of {shortest} samples"
            peak = float(side.abs().max())
            if not SILENCE <= peak <= LOUDEST:
                return f"the {name} is silent" if peak < SILENCE else f"the {name} has NaN, infinite or huge samples"
        return ""


Answer = tuple[float, ...] | str
"""A number for each of the evaluator's columns, or why there is none."""

Ask = Callable[[Sequence[Sound]], list[Answer]]
"""A loaded evaluator: an answer for each sound, all of them fit."""
