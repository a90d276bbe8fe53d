"""Short trainings of tiny models, for tests of bench/train."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType

import pytest

from bench.train.augment import Augment
from bench.train.recipes import RECIPES

QUICK = replace(
    RECIPES["mimi"],
    seconds=0.4,
    batch=2,
    rise=3,
    start=12,
    refit=12,
    bypass=0.2,
    heldout=1,
    ema=0.8,
    report_every=2,
    check_every=100,
    adversarial=None,
    distill="",  # its teacher may not be there
    augment=Augment(speeds=(1.0,)),
)
"""A recipe for some steps of mimi@tiny on a second of audio."""


@contextmanager
def interrupted(trainer: ModuleType, at: int) -> Iterator[None]:
    """What is trained inside is stopped as by Ctrl-C, before step `at` of the trainer's `one_step`."""
    step = trainer.one_step

    def stops(run: object, *rest: object) -> object:
        if run.step == at:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return step(run, *rest)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer, "one_step", stops)
        yield
