"""A suite that asks a model: the same question of whichever model is chosen, whose name is part of the columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
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
class Further(Generic[Asked]):
    """Columns that a suite has where it is asked for them."""

    parse: Callable[[str], str]  # what was asked, in one form; UserError for a word that is none
    metrics: Callable[[Asked], tuple[Metric, ...]]  # beyond the usual ones
    run: Callable[[Asked, Session], Iterator[Sequence[Row]]]  # in place of the usual one
    prepare: Callable[[], None]  # UserError where what they need beyond the model is missing
    headline: tuple[str, ...]


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
    further: Further[Asked] | None = None  # what it can be asked for beyond its usual columns
    halves: bool = False  # as of `Suite`

    def suite(self, model: Asked, asked: str = "") -> Suite:
        """The suite with that model, on the bundled speech, asked for that."""
        if asked and self.further:
            return self._asked(model, self.further.parse(asked), self.further)
        return self._usual(model)

    def _asked(self, model: Asked, asked: str, further: Further[Asked]) -> Suite:
        usual = self._usual(model)
        return replace(
            usual,
            metrics=(*usual.metrics, *further.metrics(model)),
            run=partial(further.run, model),
            asked=asked,
            with_judge=lambda name: self.suite(self.choose(name), asked),
            prepare=partial(_both, usual.prepare, further.prepare),
            headline=(*usual.headline, *(column.format(model.name) for column in further.headline)),
        )

    def _usual(self, model: Asked) -> Suite:
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
            halves=self.halves,
            with_asked=(lambda text: self.suite(model, text)) if self.further else None,
            prepare=self.prepare(model),
            merge=self.merge,
            headline=tuple(column.format(model.name) for column in self.headline),
            overview=(self.headline[0].format(model.name),),
        )


def _both(first: Callable[[], None] | None, second: Callable[[], None]) -> None:
    if first:
        first()
    second()
