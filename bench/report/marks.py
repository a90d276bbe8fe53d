"""Small models that this project trained under the name of a paper's: a sign at every label, and one line below that says what it means."""

from __future__ import annotations

from collections.abc import Iterable

from bench.api import TrainedHere
from bench.records.reader import Kept

SIGN = "†"


def marked(label: str, here: TrainedHere | None) -> str:
    """A tokenizer's label as tables and plots show it."""
    return label + SIGN * (here is not None)


def of_run(run: Kept) -> TrainedHere | None:
    """What a stored run says of the weights that it used; None of weights that this project did not train."""
    stated = run.record.get("trained_here")
    return TrainedHere(stated["hours"], stated["published"]) if stated else None


def line(found: Iterable[TrainedHere | None]) -> list[str]:
    """The line below a table that shows such models; none where there are none."""
    here = [one for one in found if one]
    if not here:
        return []
    hours = " or ".join(dict.fromkeys(f"{one.hours:g}" for one in here))
    published = list(dict.fromkeys(one.published for one in here if one.published))
    text = f"{SIGN} trained by this project on {hours} h of audio, not the published model"
    if published:
        text += f"; the published one{'s are' if len(published) > 1 else ' is'} {', '.join(published)}"
    return [text]
