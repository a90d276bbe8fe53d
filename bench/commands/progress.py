"""How far a command is: a bar where somebody looks at a terminal, lines on stderr where nobody does, as in the log of a CI job."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from bench.commands.arguments import QUIET

SHARE, PAUSE = 0.1, 30.0  # a line every tenth of the clips, and every 30 s without one
Report = Callable[[str, int, int], None]
"""Called with (label, clips done, clips in all)."""


@contextmanager
def progress(options: argparse.Namespace) -> Iterator[Report]:
    """What a command calls as it goes on; says nothing with --quiet."""
    if options.verbosity <= QUIET:
        yield lambda label, done, total: None
    elif sys.stderr.isatty():
        with _bar() as report:
            yield report
    else:
        lines = Lines(sys.stderr)
        try:
            yield lines
        finally:
            lines.stop()


@contextmanager
def _bar() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def report(label: str, done: int, total: int) -> None:
            if label not in tasks or done == 0:
                tasks[label] = bar.add_task(label, total=total)
            bar.update(tasks[label], completed=done)

        yield report


class Lines:
    """`mimi@mini: 12 of 40 clips (30 %), 14 s, about 33 s left`. What was finished before it began is said by nobody."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic, pause: float = PAUSE):
        self.out, self.clock, self.pause = out, clock, pause
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.label, self.done, self.total, self.first, self.said = "", 0, 0, 0, 0
        self.began = self.last = clock()
        threading.Thread(target=self._beat, daemon=True).start()

    def __call__(self, label: str, done: int, total: int) -> None:
        with self.lock:
            if label != self.label or done < self.done:
                self.label, self.first, self.said, self.began = label, done, done, self.clock()
                self.last = self.began
            self.done, self.total = done, total
            ended = done == total and done > self.first
            if ended and self.said < done or done - self.said >= max(1, SHARE * total):
                self._say()

    def beat(self) -> None:
        """A line where there was none for a while, though there is work."""
        with self.lock:
            if self.label and self.done < self.total and self.clock() - self.last >= self.pause:
                self._say()

    def stop(self) -> None:
        """No more lines."""
        self.ended.set()

    def _beat(self) -> None:
        while not self.ended.wait(min(1.0, self.pause)):
            self.beat()

    def _say(self) -> None:
        self.said, self.last = self.done, self.clock()
        passed, new = self.last - self.began, self.done - self.first
        left = f", about {passed / new * (self.total - self.done):.0f} s left" if new and self.done < self.total else ""
        share = 100 * self.done // max(1, self.total)
        with contextlib.suppress(OSError):  # its reader may have left
            print(f"{self.label}: {self.done} of {self.total} clips ({share} %), {passed:.0f} s{left}", file=self.out, flush=True)
