"""What the `lm` suite can be asked for beyond its usual columns: a comma list of words, known without torch."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from bench.api import UserError
from bench.lm.layouts import NAMES

LAYOUTS = NAMES[1:]
LARGE, PREQUENTIAL = "large", "prequential"
WORDS = (*LAYOUTS, PREQUENTIAL, LARGE)


@dataclass(frozen=True)
class Options:
    """The words that were asked for, in the order of WORDS."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ",".join(self.words)

    @property
    def layouts(self) -> tuple[str, ...]:
        """The layouts beside `depth`."""
        return tuple(word for word in self.words if word in LAYOUTS)

    @property
    def body(self) -> str:
        """Of the model."""
        return "large" if LARGE in self.words else "small"


def parse(text: str) -> Options:
    """UserError for a word that is none."""
    asked = {word.strip() for word in text.split(",") if word.strip()}
    for word in sorted(asked - set(WORDS)):
        near = difflib.get_close_matches(word, WORDS, 1)
        raise UserError(f"--lm-options: {word!r} is none of {', '.join(WORDS)}" + (f": did you mean {near[0]!r}?" if near else ""))
    return Options(tuple(word for word in WORDS if word in asked))
