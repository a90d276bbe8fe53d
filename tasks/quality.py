"""Perceptual quality as predictors that papers quote would rate it: MOS of speech with and without a reference, of music, and notes.

Every evaluator hears one channel, the mean of all, resampled once from its own rate to the one that the evaluator states; levels stay as
they are, and nothing is clipped. A delay that the tokenizer states is taken out before evaluators that compare. Beside the score of an
evaluator that hears the reconstruction alone stands its score of the original (`_original`), asked once and then known on disk: no
predictor rates clean speech at 5, and a codec may be rated above its original. What is said of a whole set (the Fréchet distances) hears
every clip of a domain in one process, originals and reconstructions, after a stop all of them again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bench.api import Audio, Clip, Domain, Failure, Job, Reconstruction, Row, Score, Spec, Suite
from bench.data import RESAMPLER
from bench.data.audio import to_channels
from bench.engine.scoring import Pair, pair_of
from bench.evaluators import frechet, quality
from bench.evaluators.cache import Answers
from bench.evaluators.quality import Panel
from bench.evaluators.quality_kinds import ORIGINAL, QualityEvaluator, SetEvaluator
from bench.evaluators.sounds import Answer, Sound

if TYPE_CHECKING:
    from bench.api import Session

VERSION = 1
HEADLINE = {"dnsmos": 2, "squim": 1}  # which column of an evaluator stands for it, where not the first
AT_ONCE = 16  # clips that a network on a GPU is asked about


@dataclass(frozen=True)
class Question:
    """A clip, and whom each step asks; one channel of both sides."""

    pair: Pair
    evaluators: Mapping[str, QualityEvaluator]

    def sound(self, step: str) -> Sound:
        """What the evaluator of a step hears: with `_original` the original as if it were a reconstruction."""
        evaluator = self.evaluators[step]
        rate = evaluator.rates[self.pair.domain]
        if evaluator.compares:
            ref, est = self.pair.heard(rate, raw=False)
            return Sound(est[0], ref[0])
        ref, est = self.pair.at(rate)
        return Sound(ref[0] if step.endswith(ORIGINAL) else est[0])

    def unfit(self, step: str) -> str:
        """Why it cannot be asked, or ""."""
        evaluator = self.evaluators[step]
        return self.sound(step).unfit(round(evaluator.shortest * evaluator.rates[self.pair.domain]))


@dataclass(frozen=True)
class Facts:
    """What is known of a clip while others are asked."""

    clip: Clip
    seconds: float
    steps: tuple[str, ...]
    known: dict[str, Answer]
    failure: str = ""


@dataclass(frozen=True)
class Embedded:
    """What an evaluator of sets heard so far: embeddings [N, D] of both sides, by domain and clip."""

    evaluator: SetEvaluator
    heard: dict[Domain, dict[str, tuple[Tensor, Tensor]]] = field(default_factory=dict)

    def hear(self, item: Reconstruction, spec: Spec, device: str) -> None:
        """Adds a clip, unless a side of it cannot be judged."""
        domain = item.clip.domain
        if item.failure or domain not in self.evaluator.rates:
            return
        rate = self.evaluator.rates[domain]
        ref, est = (side[0] for side in _mono(item, spec).at(rate))
        if Sound(est, ref).unfit(round(self.evaluator.shortest * rate)):
            return
        embed = quality.embedding(self.evaluator, device)
        self.heard.setdefault(domain, {})[item.clip.id] = embed(ref), embed(est)

    def rows(self, domains: Sequence[Domain]) -> list[Row]:
        """The corpus rows of each of the domains that it hears."""
        found = []
        for domain in (domain for domain in domains if domain in self.evaluator.rates):
            clips = [both for _, both in sorted(self.heard.get(domain, {}).items())]  # whatever the order of completion
            ref, est = (torch.cat(side).double().numpy() for side in zip(*clips, strict=True)) if clips else (np.zeros((0, 1)),) * 2
            for column, score in zip(self.evaluator.columns, frechet.scores(ref, est), strict=True):
                found.append(Row("*", domain, "", column.name, score.value, score.weight, score.note))
        return found


def answers(question: Question, steps: Sequence[str]) -> Iterator[Answer]:
    """What each says, in a worker process."""
    for step in steps:
        why = question.unfit(step)
        yield why or quality.loaded(question.evaluators[step], "cpu")([question.sound(step)])[0]


def run(panel: Panel, session: Session) -> Iterator[list[Row]]:
    """Rows of one clip at a time."""
    kept = {member.name: _kept(member) for member in panel.members if not member.compares}
    for clip in session.todo:
        if not panel.hears(clip.domain):  # it has no columns here, and need not be encoded
            yield session.clip_rows(clip, {}, 0.0)
    sets = [Embedded(evaluator) for evaluator in panel.sets]
    jobs = _jobs(session, panel, kept, sets)
    for facts, found in session.answers(answers, _on_gpu(session.device, jobs) if session.on_gpu else jobs):
        told = facts.known | {
            step: answer.note if isinstance(answer, Failure) else answer for step, answer in zip(facts.steps, found, strict=True)
        }
        for member in panel.of(facts.clip.domain):
            if member.name + ORIGINAL in told and isinstance(value := told[member.name + ORIGINAL], tuple):
                kept[member.name].keep(facts.clip.sha256, list(value))
        yield session.clip_rows(facts.clip, scores(panel, facts, told), facts.seconds)
    for embedded in sets:
        yield embedded.rows(sorted({clip.domain for clip in session.data.clips}))


def _kept(evaluator: QualityEvaluator) -> Answers:
    """What it said of originals before."""
    return Answers(f"{evaluator.label}, quality v{VERSION}, {RESAMPLER}")


def _heard(session: Session, panel: Panel, sets: Sequence[Embedded]) -> Iterator[Reconstruction]:
    """The reconstructions that need rows; evaluators of sets hear all that the data has."""
    todo = {clip.id for clip in session.todo}
    clips = [clip for clip in (session.data.clips if sets else session.todo) if panel.hears(clip.domain)]
    for item in session.reconstructions(sorted(clips, key=lambda clip: clip.id not in todo)):
        for embedded in sets:
            embedded.hear(item, session.spec, session.device)
        if item.clip.id in todo:
            yield item


def _jobs(session: Session, panel: Panel, kept: Mapping[str, Answers], sets: Sequence[Embedded]) -> Iterator[Job[Facts, Question]]:
    for item in _heard(session, panel, sets):
        members = panel.of(item.clip.domain)
        asked = {member.name: member for member in members if not item.failure}
        known: dict[str, Answer] = {}
        for member in members:
            if member.compares or item.ref.wav.shape[-1] == 0:
                continue
            before = kept[member.name].get(item.clip.sha256)
            if isinstance(before, list) and len(before) == len(member.columns):
                known[member.name + ORIGINAL] = tuple(map(float, before))
            else:
                asked[member.name + ORIGINAL] = member
        facts = Facts(item.clip, item.seconds, tuple(asked), known, item.failure)
        yield Job(facts, Question(_mono(item, session.spec), asked), facts.steps)


def _mono(item: Reconstruction, spec: Spec) -> Pair:
    """The pair in one channel; without a reconstruction the original stands on both sides, and only its own steps are asked."""
    pair = pair_of(item, spec)
    ref, est = (Audio(to_channels(side.wav, 1), side.sample_rate) for side in (pair.ref, pair.ref if item.failure else pair.est))
    return replace(pair, ref=ref, est=est)


def _on_gpu(device: str, jobs: Iterator[Job[Facts, Question]]) -> Iterator[Job[Facts, Question]]:
    """The same jobs with what networks on the GPU say, many clips at once; what is left of each is for a worker process."""
    while group := list(islice(jobs, AT_ONCE)):
        told: list[dict[str, Answer]] = [{} for _ in group]
        for name in dict.fromkeys(step for job in group for step in job.steps if job.payload.evaluators[step].on_device):
            _ask_group(device, name, group, told)
        for job, known in zip(group, told, strict=True):
            steps = tuple(step for step in job.steps if step not in known)
            yield Job(replace(job.key, steps=steps, known=job.key.known | known), job.payload, steps)


def _ask_group(device: str, step: str, group: Sequence[Job[Facts, Question]], told: Sequence[dict[str, Answer]]) -> None:
    """Adds what the evaluator of a step says of each clip that is to be asked for it."""
    asking = [(job.payload, known) for job, known in zip(group, told, strict=True) if step in job.steps]
    fit = []
    for question, known in asking:
        if why := question.unfit(step):
            known[step] = why
        else:
            fit.append((question, known))
    if not fit:
        return
    ask = quality.loaded(fit[0][0].evaluators[step], device)
    try:
        found = ask([question.sound(step) for question, _ in fit])
    except RuntimeError as error:  # out of memory on a device, among others: it costs these clips, and is told
        found = [f"the evaluator failed: {type(error).__name__}: {' '.join(str(error).split())}"] * len(fit)
    for (_, known), answer in zip(fit, found, strict=True):
        known[step] = answer


def scores(panel: Panel, facts: Facts, told: Mapping[str, Answer]) -> dict[str, Score]:
    """The scores of one clip, of all columns of its domain."""
    found: dict[str, Score] = {}
    for member in panel.of(facts.clip.domain):
        for step in (member.name,) if member.compares else (member.name, member.name + ORIGINAL):
            answer = told.get(step, facts.failure)
            suffix = step.removeprefix(member.name)
            for i, column in enumerate(member.columns):
                found[column.name + suffix] = _score(answer if isinstance(answer, str) else answer[i])
    return found


def _score(answer: float | str) -> Score:
    if isinstance(answer, str):
        return Score(math.nan, note=answer)
    return Score(answer, note="" if math.isfinite(answer) else "the evaluator has no answer to this")


def prepare(panel: Panel) -> None:
    """UserError where an evaluator cannot be loaded, or its answers not be kept."""
    for evaluator in panel.sets:
        quality.embedding(evaluator, "cpu")
    for member in panel.members:
        quality.loaded(member, "cpu")
        if not member.compares:
            _kept(member)


def suite(panel: Panel) -> Suite:
    """The suite with those evaluators, on the bundled corpus."""
    headline = tuple(one.columns[HEADLINE.get(one.name, 0)].name for one in panel.everyone)
    return Suite(
        name="quality",
        version=VERSION,
        about="perceptual quality as predictors rate it: ViSQOL, Distill-MOS, DNSMOS, PLCMOS, notes of music",
        metrics=panel.metrics,
        data="mini",
        run=partial(run, panel),
        judge=panel.label,
        with_judge=lambda words: suite(quality.panel(words)),
        judges=tuple(quality.GROUPS),
        prepare=partial(prepare, panel),
        headline=headline,
        overview=headline[:1],
    )


SUITE = suite(quality.panel("default"))
