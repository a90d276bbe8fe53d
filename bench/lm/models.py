"""The models of one run: which there are, each from disk or trained now, by the worker processes or on the GPU of the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bench.api import TOKENIZER_FAILED, Clip, Failure, Job
from bench.data.audio import BadAudio
from bench.lm import layouts, outcomes
from bench.lm.coding import ANSWERED, RATE, Training
from bench.lm.network import BODIES
from bench.lm.options import PREQUENTIAL, Options
from bench.lm.prequential import blocks
from bench.lm.splits import Split
from bench.lm.streams import Stream, alphabet, frame_rate, unmodelled
from bench.lm.training import PARTS, Outcome, budget, learn

if TYPE_CHECKING:
    from torch import Tensor

    from bench.api import Code, Given, Session

Name = TypeVar("Name")
DEPTH = layouts.NAMES[0]


@dataclass(frozen=True)
class Key:
    """Which model of a run; `block`: of the prequential code, which of its blocks it writes."""

    layout: str
    seed: int
    block: int = 0


@dataclass(frozen=True)
class Heard:
    """What the tokenizer made of the speech that is in a part: codes by clip id, the seconds of each, and why some have none."""

    streams: dict[str, Stream]
    seconds: dict[str, float]
    failures: dict[str, str]

    def length(self, clips: Sequence[str]) -> float:
        """Seconds of clips that have codes."""
        return math.fsum(self.streams[clip].seconds for clip in clips)

    def lost(self) -> str:
        """How many clips have no codes, and why the first has none; "" where all have."""
        if not self.failures:
            return ""
        return f"; {len(self.failures)} clips are missing ({next(iter(self.failures.values())).removeprefix(TOKENIZER_FAILED)})"


def hear(session: Session, clips: Sequence[Clip], change: Callable[[Tensor, int, Clip], Tensor] | None = None) -> Heard:
    """Clips, or what `change` makes of their audio (bench/lm/changed.py), through the tokenizer."""
    heard, codes_of = Heard({}, {}, {}), alphabet(session.spec)

    def codes(code: Code, given: Given) -> Stream | Failure:
        try:
            coded = code(change(given.wav[None], given.rate, given.clip) if change else given.wav[None], False)
        except BadAudio as error:
            return Failure(str(error))
        if coded.failure:
            return Failure(coded.failure)
        found = coded.codes[0].numpy()
        if not found.size:
            return Failure("the tokenizer gave no codes")
        return codes_of.stream(found.astype(np.min_scalar_type(max(codes_of.sizes) - 1)), given.wav.shape[-1] / given.rate)

    for trial in session.trials(codes, clips):
        heard.seconds[trial.clip.id] = trial.seconds
        if isinstance(trial.result, Stream):
            heard.streams[trial.clip.id] = trial.result
        else:
            heard.failures[trial.clip.id] = trial.result.note if trial.result else trial.failure
    return heard


def trained(session: Session, trainings: Iterable[tuple[Name, Training]]) -> Iterator[tuple[Name, Outcome | Failure]]:
    """What becomes of each, in the order of completion."""
    steps = ("part",) * PARTS
    if session.on_gpu:  # one after the other, by this process: the workers have no GPU
        for name, training in trainings:
            *_, last = learn(replace(training, device=session.device), steps)
            assert isinstance(last, Outcome)
            yield name, last
        return
    for name, answers in session.answers(learn, (Job(name, training, steps) for name, training in trainings)):
        last = next((answer for answer in answers if isinstance(answer, Failure)), answers[-1])
        assert isinstance(last, Outcome | Failure)
        yield name, last


class Models:
    """All models that a run needs."""

    def __init__(self, options: Options, session: Session, parts: Split, heard: Heard, seeds: int, version: int):
        self.options, self.session, self.heard, self.version = options, session, heard, version
        self.seeds = range(seeds * session.seed, seeds * (session.seed + 1))  # no two runs with seeds of their own share one
        self.alphabet = alphabet(session.spec)
        there = [tuple(clip.id for clip in part if clip.id in heard.streams) for part in (parts.train, parts.dev, parts.test)]
        self.train_clips, self.dev_clips, self.test_clips = there
        self.why = parts.about if not parts.clips else "" if all(there) else f"no clip of a part could be encoded{heard.lost()}"
        self.rate = math.nan if self.why else frame_rate(heard.streams.values())
        self.why = self.why or unmodelled(session.spec, self.rate)
        self.blocks = blocks(self.train_clips, heard.streams, session.seed) if PREQUENTIAL in options.words and not self.why else []
        self.layouts = [name for name in (DEPTH, *options.layouts) if name in layouts.apart(session.spec)]
        self.trained: dict[Key, Outcome | Failure] = {}
        self.fresh = False  # whether any was trained now

    def train(self) -> Iterator[float]:
        """Every model, from disk or trained now; after each that is trained, the share of the training that is done."""
        if self.why:
            return
        place = self.place
        if self.session.fresh:
            outcomes.forget(place)
        paths = {key: place / self.file(key) for key in self.keys()}
        there = [key for key in paths if key != self.first or not self.options.following or self.weights.is_file()]
        self.trained = {key: outcome for key in there if (outcome := outcomes.read(paths[key]))}
        missing = [key for key in paths if key not in self.trained]
        for count, (key, answer) in enumerate(trained(self.session, ((key, self.training(key)) for key in missing)), 1):
            self.fresh = True
            if isinstance(answer, Outcome):
                outcomes.write(paths[key], answer)
            self.trained[key] = answer
            yield count / len(missing)

    def keys(self) -> list[Key]:
        """Every model, the slowest layout first."""
        keys = [Key(name, seed) for name in sorted(self.layouts, key=lambda name: name != "flattened") for seed in self.seeds]
        return keys + [Key(DEPTH, self.seeds[0], block) for block in range(1, len(self.blocks))]

    def of(self, layout: str) -> list[Outcome | Failure]:
        """Those of a layout in the order of their seeds, whichever was done first."""
        chosen = [key for key in self.trained if key.layout == layout and not key.block]
        return [self.trained[key] for key in sorted(chosen, key=lambda key: key.seed)]

    def usable(self, layout: str) -> tuple[list[Outcome], str]:
        """The models of a layout, or why they give no score."""
        found = self.of(layout)
        failures = [model.note for model in found if isinstance(model, Failure)]
        models = [model for model in found if isinstance(model, Outcome)]
        if failures or not models:
            return [], next(iter(failures), self.why)
        astray = sum(not model.converged for model in models)
        return models, f"{astray} of {len(models)} models ({layout}) did not converge in {models[0].steps} steps" if astray else ""

    def training(self, key: Key) -> Training:
        """Of that model; that of the first leaves its weights where something further is asked of it."""
        train, test = self.train_clips, self.test_clips
        if key.block:
            train, test = tuple(clip for block in self.blocks[: key.block] for clip in block), self.blocks[key.block]
        layout, body = layouts.of_spec(key.layout, self.session.spec), BODIES[self.options.body]
        steps = budget(self.heard.length(train))
        made = Training(layout, self.alphabet, self.heard.streams, train, self.dev_clips, test, self.rate, key.seed, steps, body)
        return replace(made, peak=RATE, answered=ANSWERED, keep=self.weights if key == self.first and self.options.following else None)

    @property
    def first(self) -> Key:
        """The model that further things are asked of."""
        return Key(DEPTH, self.seeds[0])

    @property
    def weights(self) -> Path:
        """The file of those of the first."""
        return (self.place / self.file(self.first)).with_suffix(".safetensors")

    @cached_property
    def place(self) -> Path:
        """The folder of what is known of these codes."""
        parts = (self.train_clips, self.dev_clips, self.test_clips)
        return outcomes.folder(self.session.folder.parent, self.version, self.alphabet, self.heard.streams, parts)

    def file(self, key: Key) -> str:
        """The name of what is known of a model."""
        return f"{key.layout}-{self.options.body}-{key.seed}{f'-block{key.block}' if key.block else ''}.json"
