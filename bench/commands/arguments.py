"""What verbs share: words of the command line -> things, and where their answers are shown."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError, Variant

if TYPE_CHECKING:
    from rich.console import Console

    from bench.engine.run import Progress

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is wanted, not {text!r}")
    return int(text)


def variants_of(names: Sequence[str], weights: Path | None) -> list[Variant]:
    """The tokenizers of those names; `weights`: a checkpoint of the user's own for the only one."""
    from bench import registry

    variants = [registry.variant(name) for name in names]
    if weights is None:
        return variants
    if len(variants) != 1:
        raise UserError("--weights belongs to one tokenizer: name one with --tokenizer")
    return [registry.with_weights(variants[0], weights)]


def device_of(name: str) -> str:
    """What `auto` stands for on this machine."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def console() -> Console:
    """Where tables are printed."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # for the end of the command to tell: rich would end it here with 1

    # a pipe has no width of its own: one that holds a line of figures
    return Output(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)


@contextmanager
def progress_bar(console: Console) -> Iterator[Progress]:
    """A bar for each tokenizer, where somebody looks at a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def report(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bar.add_task(label, total=total)
            bar.update(tasks[label], completed=done)

        yield report
