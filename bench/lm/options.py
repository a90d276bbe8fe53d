"""What the `lm` suite can be asked for beyond its usual columns: a comma list of words, known without torch."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from bench.api import UserError
from bench.lm.layouts import NAMES

LAYOUTS = NAMES[1:]
LARGE, PREQUENTIAL = "large", "prequential"
TEXT, RECOVER, NEXT = "text", "recover", "next"
FOLLOWING = (TEXT, RECOVER, NEXT)  # what is asked of a trained model
WORDS = (*LAYOUTS, PREQUENTIAL, *FOLLOWING, LARGE)


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
    def following(self) -> tuple[str, ...]:
        """What is asked of a trained model."""
        return tuple(word for word in self.words if word in FOLLOWING)

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
