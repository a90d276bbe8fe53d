"""One run's models and what they say of its pairs, from disk or had now."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import Failure, Job
from bench.data import alignments
from bench.lm import layouts, outcomes
from bench.lm.coding import Training
from bench.lm.models import DEPTH, Heard, hear
from bench.lm.splits import Split
from bench.lm.streams import Stream, alphabet, frame_rate, unmodelled
from bench.lm.training import budget
from bench.pairs.learned import Examination, Verdict, digest, examine, joined, read, write
from bench.pairs.quads import Pair
from bench.pairs.scores import answers
from bench.pairs.sounds import Sounds
from bench.tokens.labels import at, inventory

if TYPE_CHECKING:
    from bench.api import Session


@dataclass(frozen=True)
class Encoded:
    """What a tokenizer made of the clips to learn from and of the sounds of pairs; `why` it is of no use, where it is not."""

    parts: Split
    heard: Heard
    sounds: Heard
    pairs: tuple[Pair, ...]  # those of questions of which all sounds have codes
    why: str = ""

    @property
    def rate(self) -> float:
        """Frames a second, measured."""
        return frame_rate(self.heard.streams.values())


def encoded(session: Session, parts: Split, make: Callable[[], Sounds]) -> Encoded:
    """Clips, and the sounds that are made where they can be of use, through the tokenizer."""
    nothing = Heard({}, {}, {})
    why = parts.about if not parts.clips else unmodelled(session.spec, session.spec.frame_rate)
    sounds = Sounds((), {}, {}, why) if why else make()
    if sounds.about:
        return Encoded(parts, nothing, nothing, (), sounds.about)
    heard, own = hear(session, parts.train + parts.dev), hear(session, tuple(sounds.clips.values()))
    if session.spec.labelled:
        _label(session, parts, heard, own, sounds)
    lost = {pair.question for pair in sounds.pairs if not {pair.right, pair.wrong} <= own.streams.keys()}
    pairs = tuple(pair for pair in sounds.pairs if pair.question not in lost)
    found = Encoded(parts, heard, own, pairs)
    if not pairs or not all(any(clip.id in heard.streams for clip in part) for part in (parts.train, parts.dev)):
        return replace(found, why=f"no clip of a part, or no pair, could be encoded{heard.lost() or own.lost()}")
    return replace(found, why=unmodelled(session.spec, found.rate))


def _label(session: Session, parts: Split, heard: Heard, own: Heard, sounds: Sounds) -> None:
    """Phone labels in place of codes (`Spec.labelled`)."""
    known = {clip.id: found.phones for clip in parts.clips if (found := alignments.read(clip))}
    codes = inventory((alignments.Alignment(phones, ()) for phones in known.values()), session.spec)
    for found, phones in ((heard, known), (own, sounds.phones)):
        for name, stream in list(found.streams.items()):
            if name not in phones:
                found.failures[name] = "its manifest names no alignment with phones: there is no label to take"
                del found.streams[name]
                continue
            labels = at(phones[name], len(stream.codes), codes, session.spec.frame_rate)
            found.streams[name] = Stream(labels[:, None].astype(stream.codes.dtype), stream.seconds)


class Examiner:
    """The models that a run asks."""

    def __init__(self, session: Session, found: Encoded, seeds: int, version: int):
        self.session, self.found, self.version = session, found, version
        self.seeds = range(seeds * session.seed, seeds * (session.seed + 1))
        self.verdicts: dict[int, Verdict | Failure] = {}

    def ask(self) -> None:
        """Every model, from disk or trained now."""
        paths = {seed: self._path(seed) for seed in self.seeds}
        if self.session.fresh:
            for path in paths.values():
                path.unlink(missing_ok=True)
        self.verdicts = {seed: verdict for seed, path in paths.items() if (verdict := read(path))}
        for seed, verdict in self._answers([seed for seed in paths if seed not in self.verdicts]):
            if isinstance(verdict, Verdict):
                write(paths[seed], verdict)
            self.verdicts[seed] = verdict

    @property
    def failure(self) -> str:
        """Why a model failed."""
        return next((verdict.note for verdict in self.verdicts.values() if isinstance(verdict, Failure)), "")

    @property
    def converged(self) -> float:
        """The share of models that did."""
        return statistics.mean(v.converged for v in self.verdicts.values() if isinstance(v, Verdict))

    def won(self, score: int, each: bool = False) -> dict[str, float]:
        """By question, or by pair, the share of models that answer it rightly, by one of SCORES."""
        models = [verdict.margins for verdict in self.verdicts.values() if isinstance(verdict, Verdict)]
        said = [answers(self.found.pairs, margins, score, each) for margins in models]
        return {name: statistics.mean(one[name] for one in said) for name in said[0]}

    def _answers(self, seeds: Sequence[int]) -> Iterator[tuple[int, Verdict | Failure]]:
        if self.session.on_gpu:  # one after the other, by this process: the workers have no GPU
            for seed in seeds:
                asked = self._asked(seed, self.session.device)
                yield seed, joined(list(examine(asked, asked.steps())))
            return
        jobs = (Job(seed, asked, asked.steps()) for seed in seeds for asked in (self._asked(seed, "cpu"),))
        for seed, found in self.session.answers(examine, jobs):
            failure = next((part for part in found if isinstance(part, Failure)), None)
            yield seed, failure or joined([part for part in found if isinstance(part, Verdict)])

    def _asked(self, seed: int, device: str) -> Examination:
        found, streams = self.found, self._streams()
        train, dev = (tuple(clip.id for clip in part if clip.id in streams) for part in (found.parts.train, found.parts.dev))
        layout, codes = layouts.of_spec(DEPTH, self.session.spec), alphabet(self.session.spec)
        names = tuple(dict.fromkeys(name for pair in found.pairs for name in (pair.right, pair.wrong)))
        steps = budget(found.heard.length(train))
        return Examination(Training(layout, codes, streams, train, dev, names, found.rate, seed, steps, device=device), found.pairs)

    def _streams(self) -> Mapping[str, Stream]:
        return self.found.heard.streams | self.found.sounds.streams

    def _path(self, seed: int) -> Path:
        heard, parts = self.found.heard, self.found.parts
        there = [[clip.id for clip in part if clip.id in heard.streams] for part in (parts.train, parts.dev)]
        place = outcomes.folder(self.session.folder.parent, self.version, alphabet(self.session.spec), heard.streams, there)
        return place / f"pairs-{seed}-{digest(self.found.sounds.streams, self.found.pairs)}.json"
