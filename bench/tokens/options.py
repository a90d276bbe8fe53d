"""What the `codes` suite can be asked for beyond its usual columns, known without torch."""

from __future__ import annotations

from dataclasses import dataclass

from bench.api import UserError

UNITS = "units"
WORDS = (UNITS,)


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    units: bool = False  # how long runs of equal codes last

    def __str__(self) -> str:
        return UNITS if self.units else ""


def parse(text: str) -> Options:
    """UserError for a word that is none."""
    asked = {word.strip() for word in text.split(",") if word.strip()}
    for word in sorted(asked - set(WORDS)):
        raise UserError(f"--codes-options: {word!r} is none of {', '.join(WORDS)}")
    return Options(UNITS in asked)
