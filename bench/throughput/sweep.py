"""The points at which a tokenizer is timed: how many clips at once, how long, in which precision, run in which way.

Every batch meets every length in float32 as the tokenizer runs by itself; other precisions and ways meet every batch at one length, that
nearest to 10 s. `max` among the batches goes on doubling until one does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from bench.api import UserError

DTYPES = ("float32", "bfloat16", "float16")
MODES = ("eager", "compiled", "graph")
USUAL = 10.0  # s: the length of the headline figures
MOST = "max"


@dataclass(frozen=True)
class Point:
    """One way to run a tokenizer: `batch` clips of `seconds`."""

    batch: int
    seconds: float
    dtype: str = "float32"
    mode: str = "eager"

    @property
    def audio(self) -> float:
        """Seconds of audio in one call."""
        return self.batch * self.seconds

    @property
    def plain(self) -> bool:
        """As the tokenizer runs by itself."""
        return (self.dtype, self.mode) == ("float32", "eager")

    def __str__(self) -> str:
        return f"{self.batch} x {self.seconds:g} s {self.dtype} {self.mode}"


@dataclass(frozen=True)
class Sweep:
    """What is tried of each."""

    batch: tuple[int, ...] = (1, 8)
    seconds: tuple[float, ...] = (1.0, 10.0)
    dtype: tuple[str, ...] = ("float32",)
    mode: tuple[str, ...] = ("eager",)
    until_memory: bool = False  # batches go on doubling beyond the largest

    def __str__(self) -> str:
        batches = [*map(str, self.batch), *([MOST] if self.until_memory else [])]
        lengths = [f"{s:g}" for s in self.seconds]
        parts = {"batch": batches, "seconds": lengths, "dtype": self.dtype, "mode": self.mode}
        return " ".join(f"{key}={','.join(values)}" for key, values in parts.items())

    @property
    def usual(self) -> float:
        """The length that stands for the others."""
        return min(self.seconds, key=lambda s: abs(s - USUAL))

    def points(self) -> Iterator[Point]:
        """All but those of `max`, the least work first."""
        plain = [Point(b, s) for b in self.batch for s in self.seconds]
        yield from sorted(plain, key=lambda point: (point.audio, point.batch))
        for dtype in self.dtype:
            for mode in self.mode:
                if (dtype, mode) != ("float32", "eager"):
                    yield from (Point(b, self.usual, dtype, mode) for b in self.batch)

    def beyond(self) -> Iterator[Point]:
        """Those of `max`, without end: whoever asks stops at the one that does not fit."""
        batch = max(self.batch)
        while self.until_memory:
            batch *= 2
            yield Point(batch, self.usual)


SMALL = Sweep()
FULL = Sweep((1, 8, 32), (1.0, 10.0, 60.0), DTYPES, MODES, until_memory=True)
NAMED = {"small": SMALL, "full": FULL}


def parse(text: str) -> Sweep:
    """`small`, `full`, or words such as `batch=1,8,max seconds=1,10 dtype=float32 mode=eager`; what is not said is as in `small`."""
    if text in NAMED:
        return NAMED[text]
    given: dict[str, list[str]] = {}
    for word in text.split():
        key, _, values = word.partition("=")
        if key not in {field.name for field in fields(Sweep)} - {"until_memory"} or not values:
            raise UserError(
                f"--sweep: {word!r} is not small, full, batch=, seconds=, dtype= or mode=: write as 'batch=1,8,max seconds=1,10'"
            )
        given[key] = values.split(",")
    batches = given.get("batch", list(map(str, SMALL.batch)))
    counts = tuple(sorted({int(_number(b, whole=True)) for b in batches if b != MOST} | {1}))  # 1: the headline figures are of one clip
    lengths = tuple(sorted({_number(s) for s in given.get("seconds", [f"{s:g}" for s in SMALL.seconds])}))
    return Sweep(
        counts, lengths, _known(given.get("dtype", ()), DTYPES, "dtype"), _known(given.get("mode", ()), MODES, "mode"), MOST in batches
    )


def _number(text: str, whole: bool = False) -> float:
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 10_000:
        raise UserError(
            f"--sweep: {text!r} is no {'whole number from 1' if whole else 'length in seconds'}: write as 'batch=1,8 seconds=1,10'"
        )
    return value


def _known(words: list[str] | tuple[()], known: tuple[str, ...], what: str) -> tuple[str, ...]:
    for word in words:
        if word not in known:
            raise UserError(f"--sweep: no {what} is called {word!r}: choose from {', '.join(known)}")
    return tuple(word for word in known if word in words or word == known[0])  # the first is what the others are compared with
