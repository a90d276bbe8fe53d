"""A model of bench/lm that has learned a tokenizer's codes, asked about sounds: the bits of every code of each. And its answers on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from bench.api import UserError
from bench.lm.coding import Coder, Training
from bench.lm.streams import Stream
from bench.lm.training import PARTS, Learner, settled
from bench.pairs.quads import Pair
from bench.pairs.scores import Side, margins
from bench.records.writer import replace as put

ASKED = 200.0  # seconds of sounds in one step of the work
DROPOUT = 0.2  # in training: of 0, .1, .2, .3 the one after which other speakers' and texts' true phones cost least


@dataclass(frozen=True)
class Examination:
    """A model to be trained, and the pairs that it is asked about; the streams of their sounds are among those of the training."""

    training: Training
    pairs: tuple[Pair, ...]

    def parts(self) -> list[tuple[Pair, ...]]:
        """The pairs in parts of about ASKED seconds."""
        found: list[list[Pair]] = [[]]
        seconds = 0.0
        for pair in self.pairs:
            if seconds > ASKED:
                found.append([])
                seconds = 0.0
            found[-1].append(pair)
            seconds += sum(self.training.streams[name].seconds for name in (pair.right, pair.wrong))
        return list(map(tuple, found))

    def steps(self) -> tuple[str, ...]:
        """Of the work: those of the training, then one for each part."""
        return ("part",) * (PARTS + len(self.parts()))


@dataclass(frozen=True)
class Verdict:
    """What a model says of pairs: whether it had converged, and the margins (bench/pairs/scores.py) of each by its id."""

    converged: bool
    margins: Mapping[str, tuple[float, ...]]


def examine(examination: Examination, steps: Sequence[str]) -> Iterator[Verdict]:
    """A task for worker processes: after the parts of the training, which have nothing to say, a verdict on each part of the pairs."""
    training, parts = examination.training, examination.parts()
    if len(steps) != PARTS + len(parts):
        raise ValueError("a training that was stopped begins again, in the next run")
    on_cpu = torch.device(training.device).type == "cpu"
    # the generator of all, put back afterwards: layers of torch know no other
    with torch.random.fork_rng(devices=[] if on_cpu else None):
        torch.manual_seed(training.seed)
        # no patience: what a sound's parts tell of each other is still being learned where the bits of other speakers fall no more
        learner = Learner(replace(training, dropout=DROPOUT), patience=PARTS)
        for _ in range(PARTS):
            learner.part()
            yield Verdict(False, {})
        learner.take_average()
        codes = sum(training.streams[clip].codes.size for clip in training.dev)
        converged = settled(learner.curve, learner.steps, sum(learner.coder.zero_order_bits(training.dev).values()) / codes)
        shares, _ = learner.coder.stopping()
        for part in parts:
            yield Verdict(converged, judged(learner.coder, part, shares))


def judged(coder: Coder, pairs: Sequence[Pair], shares: np.ndarray) -> dict[str, tuple[float, ...]]:
    """The margins of pairs."""
    streams, tables = coder.training.streams, coder.training.alphabet.tables
    bits = coder.bits(dict.fromkeys(name for pair in pairs for name in (pair.right, pair.wrong)), shares)
    first = [c for c, table in enumerate(tables) if table == tables[0]]

    def side(name: str) -> Side:
        return Side(streams[name].codes, bits[name])

    return {pair.id: margins(side(pair.right), side(pair.wrong), first, coder.training.rate) for pair in pairs}


def joined(verdicts: Sequence[Verdict]) -> Verdict:
    """Those of all parts."""
    return Verdict(verdicts[-1].converged, {name: found for verdict in verdicts for name, found in verdict.margins.items()})


def digest(streams: Mapping[str, Stream], pairs: Sequence[Pair]) -> str:
    """Of pairs and their codes, 8 letters."""
    found = hashlib.sha256()
    for pair in pairs:
        for name in (pair.right, pair.wrong):
            codes = streams[name].codes
            found.update(repr((name, codes.shape, codes.dtype.str)).encode() + codes.tobytes())
    return found.hexdigest()[:8]


def read(path: Path) -> Verdict | None:
    """The verdict in a file; None: not there, or damaged, and to be had again."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return Verdict(bool(held["converged"]), {name: tuple(map(float, found)) for name, found in held["margins"].items()})
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}: correct it (or use --results DIR) and repeat the command") from error


def write(path: Path, verdict: Verdict) -> None:
    """Keeps a verdict, whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, json.dumps({"converged": verdict.converged, "margins": verdict.margins}, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}: correct it (or use --results DIR) and repeat the command") from error
