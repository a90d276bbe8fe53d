"""What is asked of a run's first model when it is trained: what it would pay if it were told more, and which second halves it believes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.api import Clip, Failure, Job, Score
from bench.lm import continuation, outcomes
from bench.lm.beside import Beside, digest, other, text
from bench.lm.changed import Change
from bench.lm.continuation import CHUNKS, KINDS, Choices, Judged, judge
from bench.lm.models import Models, hear, trained
from bench.lm.options import NEXT, RECOVER, TEXT
from bench.lm.splits import Split
from bench.lm.training import Outcome
from bench.records.writer import key_of
from bench.tokens.alignment import words

if TYPE_CHECKING:
    from bench.api import Session

VARIES = "not applicable: frames of varying length cannot be put beside each other"


@dataclass(frozen=True)
class Told:
    """What the model was told of each clip, and why it was told nothing of some."""

    beside: Beside
    failures: Mapping[str, str]


class Following:
    """The answers of one run."""

    def __init__(self, models: Models, session: Session, parts: Split, changes: Mapping[str, Change]):
        self.models, self.session, self.parts, self.changes = models, session, parts, changes
        self.options, self.heard = models.options, models.heard
        self.told: dict[str, Told] = {}
        self.given: dict[str, Outcome | Failure] = {}  # by TEXT and the names of changes
        self.judged: dict[str, dict[str, Judged]] | Failure = {}
        self.fresh = False

    def train(self) -> Iterator[float]:
        """Everything that was asked for, from disk or made now; after each piece the share that is done."""
        if self.models.why or self.failure or not self.options.following:
            return
        if TEXT in self.options.words and any(words(clip.text) for clip in self.parts.train):
            said = {clip.id: words(clip.text) for clip in self.parts.clips if clip.id in self.heard.streams}
            seconds = {clip: stream.seconds for clip, stream in self.heard.streams.items()}
            silent = {clip: "no transcript" for clip, line in said.items() if not line}
            self.told[TEXT] = Told(text(said, seconds, self.models.train_clips), silent)
        if RECOVER in self.options.words and math.isfinite(self.session.spec.frame_rate):
            for name, change in self.changes.items():
                heard = hear(self.session, self.parts.clips, change)
                self.told[name] = Told(other(heard.streams, self.heard.streams), heard.failures)
        for count, _ in enumerate(self._given(), 1):
            yield count / (len(self.told) + 1)
        if NEXT in self.options.words:
            self._judge()
            yield 1.0

    @property
    def failure(self) -> str:
        """Why the first model can be asked nothing."""
        model = self.models.trained.get(self.models.first)
        if isinstance(model, Failure):
            return model.note
        return "" if model is None or model.converged else f"the model did not converge in {model.steps} steps"

    def saved(self, name: str, clip: Clip) -> tuple[float, float, str]:
        """Bits that a clip costs the model, those it saves when told that, and why there are none."""
        model, given = self.models.trained[self.models.first], self.given.get(name)
        if isinstance(given, Outcome) and not given.converged:
            given = Failure(f"the model that is told did not converge in {given.steps} steps")
        why = given.note if isinstance(given, Failure) else self.told[name].failures.get(clip.id, "") if name in self.told else ""
        if why or not isinstance(given, Outcome) or not isinstance(model, Outcome):
            return math.nan, math.nan, why or (VARIES if name != TEXT else "no transcripts to learn from")
        plain = math.fsum(model.bits[clip.id])
        return plain, plain - math.fsum(given.bits[clip.id]), ""

    def scores(self, clip: Clip) -> dict[str, Score]:
        """Of one clip of the test that has codes, of a model that can be asked."""
        found: dict[str, Score] = {}
        if TEXT in self.options.words:
            seconds, (_, saved, why) = self.heard.streams[clip.id].seconds, self.saved(TEXT, clip)
            found["text_bits_per_s"] = Score(saved / seconds, seconds, why)
        for name in self.changes if RECOVER in self.options.words else ():
            plain, saved, why = self.saved(name, clip)
            score = Score(saved / plain, plain) if plain else Score(math.nan, note="nothing to recover: the codes cost nothing")
            found[f"recover_share_{name}"] = Score(math.nan, note=why) if why else score
        for kind in KINDS if NEXT in self.options.words else ():
            found |= self._chosen(kind, clip)
        return found

    def _chosen(self, kind: str, clip: Clip) -> dict[str, Score]:
        names = (f"next_acc_{kind}", f"next_acc_{kind}_1s")
        if isinstance(self.judged, Failure):
            return dict.fromkeys(names, Score(math.nan, note=self.judged.note))
        one = self.judged.get(kind, {}).get(clip.id)
        if one is None:
            what = "in another voice" if kind == continuation.VOICE else "by the same voice"
            return dict.fromkeys(names, Score(math.nan, note=f"too short, or no other clip {what} to compare with"))
        return {name: Score(value, one.count) for name, value in zip(names, (one.whole, one.first), strict=True)}

    def _given(self) -> Iterator[None]:
        """The models that are told something."""
        start = replace(self.models.training(self.models.first), keep=None, start=self.models.weights)
        paths = {name: self.models.place / self._file(f"{name}-{digest(told.beside)}") for name, told in self.told.items()}
        self.given = {name: outcome for name, path in paths.items() if (outcome := outcomes.read(path))}
        yield from (None for _ in self.given)
        missing = ((name, replace(start, beside=self.told[name].beside)) for name in paths if name not in self.given)
        for name, answer in trained(self.session, list(missing)):
            self.fresh = True
            if isinstance(answer, Outcome):
                outcomes.write(paths[name], answer)
            self.given[name] = answer
            yield

    def _judge(self) -> None:
        model = self.models.trained[self.models.first]
        assert isinstance(model, Outcome)
        clips = [clip for clip in self.parts.test if clip.id in self.heard.streams]
        others = {kind: continuation.distractors(clips, kind) for kind in KINDS}
        path = self.models.place / self._file(f"{NEXT}-{key_of(others)[:8]}")
        if found := outcomes.read_judged(path):
            self.judged = found
            return
        self.fresh = True
        start = replace(self.models.training(self.models.first), keep=None, start=self.models.weights, device=self._device)
        answers = self._answers(Choices(start, model.shares, others))
        failure = next((answer for answer in answers if isinstance(answer, Failure)), None)
        if failure:
            self.judged = failure
            return
        parts = [answer for answer in answers if not isinstance(answer, Failure)]
        self.judged = {kind: dict(itertools.chain.from_iterable(part[kind].items() for part in parts)) for kind in KINDS}
        outcomes.write_judged(path, self.judged)

    @property
    def _device(self) -> str:
        return self.session.device if self.session.on_gpu else "cpu"

    def _answers(self, choices: Choices) -> Sequence[dict[str, dict[str, Judged]] | Failure]:
        steps = ("part",) * CHUNKS
        if self.session.on_gpu:
            return list(judge(choices, steps))
        ((_, answers),) = self.session.answers(judge, iter([Job(NEXT, choices, steps)]))
        return answers

    def _file(self, what: str) -> str:
        return f"{self.models.file(self.models.first).removesuffix('.json')}-{what}.json"
