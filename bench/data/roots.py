"""Folders of the user's own where copies of data are looked for before anything is fetched: `--data-root`, or a variable."""

from __future__ import annotations

import os
from pathlib import Path

from bench.api import UserError

PLACE = "AUDIO_TOKENIZER_BENCH_DATA"  # folders, with what separates those of PATH between them


def roots() -> list[Path]:
    """They, in their order. UserError for one that is not there."""
    found = [Path(place).expanduser() for place in os.environ.get(PLACE, "").split(os.pathsep) if place]
    for place in found:
        if not place.is_dir():
            raise UserError(f"{PLACE} names {place}, which is no folder: mend it or unset it")
    return found


def add(folder: Path) -> None:
    """Makes a folder the first of them, for this process and those that it starts."""
    if not folder.expanduser().is_dir():
        raise UserError(f"--data-root names {folder}, which is no folder")
    others = [place for place in os.environ.get(PLACE, "").split(os.pathsep) if place]
    os.environ[PLACE] = os.pathsep.join(dict.fromkeys([str(folder.expanduser().absolute()), *others]))
