"""Perceptual quality as predictors that papers quote would rate it: MOS of speech with and without a reference, of music, and notes.

Every evaluator hears one channel, the mean of all, resampled once from its own rate to the one that the evaluator states; levels stay as
they are, and nothing is clipped. A delay that the tokenizer states is taken out before evaluators that compare. Beside the score of an
evaluator that hears the reconstruction alone stands its score of the original (`_original`), asked once and then known on disk: no
predictor rates clean speech at 5, and a codec may be rated above its original.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from bench.api import Audio, Clip, Failure, Job, Reconstruction, Row, Score, Spec, Suite
from bench.data.audio import RESAMPLER, to_channels
from bench.engine.scoring import Pair, pair_of
from bench.evaluators import quality
from bench.evaluators.cache import Answers
from bench.evaluators.quality import ORIGINAL, Panel, QualityEvaluator
from bench.evaluators.sounds import Answer, Sound

if TYPE_CHECKING:
    from bench.api import Session

VERSION = 1
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


def answers(question: Question, steps: Sequence[str]) -> Iterator[Answer]:
    """What each says, in a worker process."""
    for step in steps:
        why = question.unfit(step)
        yield why or quality.loaded(question.evaluators[step], "cpu")([question.sound(step)])[0]


def run(panel: Panel, session: Session) -> Iterator[list[Row]]:
    """Rows of one clip at a time."""
    kept = {member.name: _kept(member) for member in panel.members if not member.compares}
    for clip in session.todo:
        if not panel.of(clip.domain):  # it has no columns here, and need not be encoded
            yield session.clip_rows(clip, {}, 0.0)
    jobs = _jobs(session, panel, kept)
    for facts, found in session.answers(answers, _on_gpu(session.device, jobs) if session.on_gpu else jobs):
        told = facts.known | {
            step: answer.note if isinstance(answer, Failure) else answer for step, answer in zip(facts.steps, found, strict=True)
        }
        for member in panel.of(facts.clip.domain):
            if member.name + ORIGINAL in told and isinstance(value := told[member.name + ORIGINAL], tuple):
                kept[member.name].keep(facts.clip.sha256, list(value))
        yield session.clip_rows(facts.clip, scores(panel, facts, told), facts.seconds)


def _kept(evaluator: QualityEvaluator) -> Answers:
    """What it said of originals before."""
    return Answers(f"{evaluator.label}, quality v{VERSION}, {RESAMPLER}")


def _jobs(session: Session, panel: Panel, kept: Mapping[str, Answers]) -> Iterator[Job[Facts, Question]]:
    for item in session.reconstructions([clip for clip in session.todo if panel.of(clip.domain)]):
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
                found[column.name + suffix] = Score(math.nan, note=answer) if isinstance(answer, str) else Score(answer[i])
    return found


def prepare(panel: Panel) -> None:
    """UserError where an evaluator cannot be loaded, or its answers not be kept."""
    for member in panel.members:
        quality.loaded(member, "cpu")
        if not member.compares:
            _kept(member)


def suite(panel: Panel) -> Suite:
    """The suite with those evaluators, on the bundled corpus."""
    headline = tuple(member.columns[-2 if len(member.columns) > 3 else 0].name for member in panel.members)
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
