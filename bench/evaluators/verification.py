"""Who is it, and is it the same voice: enrolment, trials and the equal error rate over unit vectors [D] of originals and of what is tested.

A voice is enrolled with originals and tested with something else. The original of a tested clip is never among what it is compared with,
nor is another clip of the very same audio.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import Clip, Score

MOST = 20  # trials of each kind for one tested clip: a large set stays proportional to its clips


@dataclass(frozen=True)
class Trial:
    """Is the tested clip by the speaker of the enrolled one? Both are places in the list of clips."""

    enrolled: int
    tested: int
    same: bool


def trials(clips: Sequence[Clip]) -> list[Trial]:
    """Pairs of clips of named speakers; for every tested clip as many with a stranger as with its own speaker.

    Nothing is drawn: the list follows from the manifest. Strangers take turns, and so do the clips of each.
    """
    by_speaker: dict[str, list[int]] = defaultdict(list)
    for i, clip in enumerate(clips):
        if clip.speaker:
            by_speaker[clip.speaker].append(i)
    turn, turns = 0, dict.fromkeys(by_speaker, 0)
    found: list[Trial] = []
    for speaker, own in by_speaker.items():
        strangers = [other for other in by_speaker if other != speaker]
        for place, i in enumerate(own):
            after = [*own[place + 1 :], *own[:place]]
            same = [j for j in after if clips[j].sha256 != clips[i].sha256][:MOST] if strangers else []
            for j in same:
                stranger = strangers[turn % len(strangers)]
                other = by_speaker[stranger][turns[stranger] % len(by_speaker[stranger])]
                turn, turns[stranger] = turn + 1, turns[stranger] + 1
                found += [Trial(j, i, True), Trial(other, i, False)]
    return found


def verify(listed: Sequence[Trial], enrolled: Sequence[Tensor | None], tested: Sequence[Tensor | None]) -> Score:
    """The equal error rate over the trials that have both vectors, weighted by their number.

    What has no tested vector is missing from both kinds of trial in equal number.
    """
    pairs = [(enrolled[trial.enrolled], tested[trial.tested], trial.same) for trial in listed]
    there = [(float(a @ b), same) for a, b, same in pairs if a is not None and b is not None]
    if not there:
        why = "no trial has both voices" if listed else "no trials: they take two named speakers, and two clips of one of them"
        return Score(math.nan, 0.0, why)
    cosines, same = torch.tensor([cosine for cosine, _ in there]), torch.tensor([same for _, same in there])
    return Score(equal_error_rate(cosines[same], cosines[~same]), float(len(there)))


def equal_error_rate(same: Tensor, different: Tensor) -> float:
    """Where misses equal false alarms, 0..1, of the scores [n] of same-speaker and [m] of different-speaker trials.

    A trial is accepted when its score is at least the threshold. Between two neighbouring thresholds both rates are taken to change
    linearly: the point where the straight lines of the ROC meet misses = false alarms. Equal scores fall together.
    """
    scores = torch.cat([same, different]).double()
    accepted_same = torch.cat([torch.ones(len(same)), torch.zeros(len(different))]).double()
    thresholds, place = torch.unique(scores, return_inverse=True)
    hits = torch.zeros(len(thresholds), dtype=torch.float64).index_add_(0, place, accepted_same)
    alarms = torch.zeros(len(thresholds), dtype=torch.float64).index_add_(0, place, 1 - accepted_same)
    start = torch.zeros(1, dtype=torch.float64)
    misses = 1 - torch.cat([start, hits.flip(0).cumsum(0)]) / len(same)  # the highest threshold first
    alarms = torch.cat([start, alarms.flip(0).cumsum(0)]) / len(different)
    gap = misses - alarms  # falls from 1 to -1
    after = int((gap <= 0).nonzero()[0])
    step = float(gap[after - 1] / (gap[after - 1] - gap[after]))
    return float(torch.lerp(alarms[after - 1], alarms[after], step))


class Enrolment:
    """Every named speaker, by the mean of the unit vectors [D] of the clips that have one."""

    def __init__(self, clips: Sequence[Clip], vectors: Sequence[Tensor | None]):
        self.speakers = sorted({clip.speaker for clip, v in zip(clips, vectors, strict=True) if clip.speaker and v is not None})
        self._clips = [(clip, v.double()) for clip, v in zip(clips, vectors, strict=True) if clip.speaker and v is not None]
        self._place = {speaker: i for i, speaker in enumerate(self.speakers)}
        self._twins: dict[str, list[int]] = defaultdict(list)  # clips by their audio
        for i, (clip, _) in enumerate(self._clips):
            self._twins[clip.sha256].append(i)
        width = len(self._clips[0][1]) if self._clips else 0
        self._sums = torch.zeros(len(self.speakers), width, dtype=torch.float64)
        self._counts = torch.zeros(len(self.speakers), dtype=torch.int64)
        for i in range(len(self._clips)):
            self._add(self._sums, self._counts, i, 1)

    def _add(self, sums: Tensor, counts: Tensor, i: int, sign: int) -> None:
        clip, vector = self._clips[i]
        sums[self._place[clip.speaker]] += sign * vector
        counts[self._place[clip.speaker]] += sign

    def identify(self, clip: Clip, vector: Tensor) -> Score:
        """1 where the nearest of all enrolled speakers is the clip's own, else 0; the clip itself is taken out of the enrolment."""
        if not clip.speaker:
            return Score(math.nan, note="its speaker is not named")
        sums, counts = self._sums.clone(), self._counts.clone()
        for i in self._twins[clip.sha256]:
            self._add(sums, counts, i, -1)
        own = self._place.get(clip.speaker)
        if own is None or counts[own] == 0:
            return Score(math.nan, note="the only clip of its speaker: nothing to enrol")
        others = [i for i in range(len(self.speakers)) if i != own and counts[i] > 0]
        if not others:
            return Score(math.nan, note="no other speaker to be taken for")
        likeness = torch.nn.functional.normalize(sums, dim=-1) @ vector.double()
        return Score(float(likeness[own] > likeness[others].max()))
