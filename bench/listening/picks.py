"""Which clips are worth hearing: the worst, the median and the best by a score, so that no page shows the two that come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.api import DOMAINS, Metric, UserError
from bench.records.reader import Kept
from bench.statistics.paired import harm, sized

USUAL = {"speech": "pesq_wb", "music": "mel_dac", "general": "mel_dac"}  # the score that clips of a domain are ordered by


@dataclass(frozen=True)
class Pick:
    """A clip, and why it is here."""

    clip: str
    domain: str
    place: str  # "worst", "median", "best", "worst but 1" and so on
    metric: str
    mean: float  # over the runs, in the metric's own unit
    of: int  # clips that were ordered
    runs: int

    @property
    def why(self) -> str:
        """In words."""
        over = f", mean of {self.runs} tokenizers" if self.runs > 1 else ""
        return f"{self.place} of {self.of} by {self.metric}{over}"


def ordered(runs: Sequence[Kept], domain: str, metric: str) -> list[tuple[str, float]]:
    """Clips with the mean of a score over runs, the worst first; clips that lack the score of a run are left out."""
    found = [run.scores.get((domain, metric), {}) for run in runs]
    common = set.intersection(*(set(scores) for scores in found)) - {"*"} if found else set()
    facts = runs[0].metrics[metric]
    means: dict[str, float] = {}
    for clip in common:
        values = sized(facts, np.array([scores[clip].value for scores in found]))
        if not np.isnan(values).any():
            means[clip] = float(values.mean())
    return sorted(means.items(), key=lambda item: (-harm(facts) * item[1], item[0]))


def score_of(run: Kept, domain: str, wanted: str = "") -> Metric | None:
    """What clips of the domain are ordered by: `wanted`, the usual one, or the first directed column that it has."""
    has = [m for m in run.metrics.values() if harm(m) and m.per == "clip" and not m.fixed and (domain, m.name) in run.scores]
    if wanted:
        if wanted not in {m.name for m in run.metrics.values()}:
            raise UserError(f"these runs have no metric {wanted!r}: name one of {', '.join(run.headline)}")
        return next((m for m in has if m.name == wanted), None)
    costs = ("kbps_packed", "kbps_entropy", "tokens_per_s")
    first = sorted(has, key=lambda m: (m.name != USUAL.get(domain), m.name in costs))
    return first[0] if first else None


def picks(runs: Sequence[Kept], counts: dict[str, int], wanted: str = "") -> list[Pick]:
    """So many clips of each domain: the ends and the middle of the order, an odd one more from the worst end."""
    found: list[Pick] = []
    for domain in DOMAINS:
        count = counts.get(domain, 0)
        metric = score_of(runs[0], domain, wanted) if runs and count else None
        if metric is None:
            continue
        order = ordered(runs, domain, metric.name)
        for place, at in _places(len(order), count):
            clip, mean = order[at]
            found.append(Pick(clip, domain, place, metric.name, mean, len(order), len(runs)))
    return found


def _places(total: int, count: int) -> list[tuple[str, int]]:
    """Names and positions in an order from worst to best, each position once."""
    ends = [("worst", 0), ("median", total // 2), ("best", total - 1)]
    named = {1: ends[1:2], 2: ends[::2]}.get(count, ends) + [(f"worst but {i}", i) for i in range(1, count - 2)]
    places = {position: place for place, position in reversed(named) if 0 <= position < total}
    return [(places[position], position) for position in sorted(places)]
