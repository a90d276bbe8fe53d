"""A suite that asks a model: the same question of whichever model is chosen, whose name is part of the columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from bench.api import Metric, Row, Session, Spec, Suite


class Evaluator(Protocol):
    """What a suite needs to know of a model."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str:
        """With the sha256 of its weights: part of what a run is."""
        ...


Asked = TypeVar("Asked", bound=Evaluator)


@dataclass(frozen=True)
class EvaluatedSuite(Generic[Asked]):
    """All of such a suite but the model."""

    name: str
    version: int
    about: str
    metrics: Callable[[Asked], tuple[Metric, ...]]
    run: Callable[[Asked, Session], Iterator[Sequence[Row]]]
    prepare: Callable[[Asked], Callable[[], None] | None]  # UserError where the model's package or weights are missing; None: nothing to do
    headline: tuple[str, ...]  # columns, {} for the model's name; the first one stands for the suite beside others
    known: tuple[str, ...]  # names that `choose` knows
    choose: Callable[[str], Asked]  # a model by its name or path
    merge: Callable[[Spec, Sequence[Path], Path], Sequence[Row]] | None = None  # as of `Suite`

    def suite(self, model: Asked) -> Suite:
        """The suite with that model, on the bundled speech."""
        return Suite(
            name=self.name,
            version=self.version,
            about=self.about,
            metrics=self.metrics(model),
            data="mini",
            run=partial(self.run, model),
            judge=model.label,
            with_judge=lambda name: self.suite(self.choose(name)),
            judges=self.known,
            prepare=self.prepare(model),
            merge=self.merge,
            headline=tuple(column.format(model.name) for column in self.headline),
            overview=(self.headline[0].format(model.name),),
        )
