"""What the `probe` suite can be asked for beyond its usual columns: a comma list of words, known without torch."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from bench.api import UserError

MEL, LABEL = "mel", "label:"


@dataclass(frozen=True)
class Options:
    """The further questions, `mel` first, then labels by name."""

    questions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ",".join(self.questions)


def parse(text: str) -> Options:
    """UserError for a word that is no question."""
    asked = {word.strip() for word in text.split(",") if word.strip()}
    for word in sorted(asked):
        if word != MEL and not re.fullmatch(rf"{LABEL}[A-Za-z0-9_]+", word):
            near = difflib.get_close_matches(word, (MEL,), 1)
            wanted = f"did you mean {near[0]!r}?" if near else f"{MEL}, or {LABEL}NAME for a column of the manifest that is called so"
            raise UserError(f"--probe-options: {word!r} is no question: {wanted}")
    return Options(tuple(sorted(asked, key=lambda word: (word != MEL, word))))
