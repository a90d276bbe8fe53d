"""What the suite asr can be asked for beyond its usual columns, known without torch."""

from __future__ import annotations

from bench.api import UserError

PER = "per"
WORDS = (PER,)


def parse(text: str) -> str:
    """What was asked for, each word once; UserError for a word that is none."""
    asked = {word.strip() for word in text.split(",") if word.strip()}
    for word in sorted(asked - set(WORDS)):
        raise UserError(f"--asr-options: {word!r} is none of {', '.join(WORDS)}")
    return ",".join(word for word in WORDS if word in asked)
