"""The curves of trainings: losses of the crops and scores of what was held out, by step, from the logs that `bench train` writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.plot.paper import Line, draw, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG = "log.jsonl"
BESIDE = {"step", "of", "s/step", "norm"}  # what a line tells that is no curve
MOST = 60  # points of a line
Curves = dict[str, tuple[list[int], list[float]]]


def figure(folders: Sequence[Path], wanted: Sequence[str] = ()) -> Figure:
    """A panel for each of the curves that are wanted, a line for each run in it.

    None named: mel or loss, and the held-out scores of all codebooks.
    """
    runs = {str(folder): curves(folder) for folder in folders}
    known = list(dict.fromkeys(name for found in runs.values() for name in found))
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(f"no run logs {unknown[0]!r}: there is {', '.join(known)}")
    chosen = list(wanted) or [name for name in known if name in ("mel", "loss") or name.startswith("held-out ") and "_" not in name]
    sheet_, panels = sheet(len(chosen))
    content: list[list[Line]] = []
    for name in chosen:
        several = [(label, *found[name], style) for style, (label, found) in enumerate(runs.items()) if name in found]
        content.append([Line(label, thinned(steps), thinned(values), style) for label, steps, values, style in several])
    for axes, name in zip(panels, chosen, strict=True):
        axes.set_xlabel("steps")
        axes.set_ylabel(name)
    draw(panels, [(lines, ()) for lines in content])
    return sheet_


def thinned(values: Sequence[float]) -> list[float]:
    """At most MOST values: means of as many neighbours each as that takes."""
    size = -(-len(values) // MOST)
    parts = [values[i : i + size] for i in range(0, len(values), size)]
    return [sum(part) / len(part) for part in parts]


def curves(folder: Path) -> Curves:
    """Every curve of a run's folder: its steps and its values. What a check found of held-out clips begins with "held-out "."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{folder} holds no {LOG} ({error.strerror}): name the --out of a bench train") from error
    found: Curves = {}
    for line in lines:
        if not line.endswith("}"):  # it is being written
            continue
        facts = json.loads(line)
        for name, value in facts.items():
            if name not in BESIDE:
                steps, values = found.setdefault(name if "of" in facts else f"held-out {name.removeprefix('heldout_')}", ([], []))
                steps.append(facts["step"])
                values.append(value)
    if not found:
        raise UserError(f"{folder / LOG} has no step yet: wait for the first report")
    return found
