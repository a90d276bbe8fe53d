"""Where the processors' time goes in a run of the reconstruction suite: clocks in the worker processes and around the tokenizer."""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import pesq

from bench.api import Score, Tokenizer
from bench.engine import scoring
from bench.engine.scoring import Pair, score

Given = ParamSpec("Given")
Result = TypeVar("Result")
PESQ, CODEC, RESAMPLING = "PESQ's C code", "codec", "resampling"
FAMILIES = {
    "pesq": "PESQ outside its C code",
    "stoi": "STOI, ESTOI",
    "estoi": "STOI, ESTOI",
    "stoi_aligned": "delay, aligned columns",
    "delay_ms": "delay, aligned columns",
    "si_sdr_aligned": "delay, aligned columns",
    "mel_dac": "mel, STFT, LSD",
    "mel_l1": "mel, STFT, LSD",
    "stft_dac": "mel, STFT, LSD",
    "lsd": "mel, STFT, LSD",
    "mfcc_l2": "MFCC distance",
    "f0_rmse": "F0 tracking",
    "f0_corr": "F0 tracking",
    "vuv_f1": "F0 tracking",
}


class Clock:
    """CPU seconds of one thread by what they were spent on; a piece within a piece counts for itself alone."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._within = 0.0

    @contextmanager
    def piece(self, name: str) -> Iterator[None]:
        """Adds what its block takes."""
        before, self._within = self._within, 0.0
        start = time.thread_time()
        try:
            yield
        finally:
            taken = time.thread_time() - start
            self.spent[name] += taken - self._within
            self._within = before + taken

    def around(self, name: str, function: Callable[Given, Result]) -> Callable[Given, Result]:
        """The function, measured."""

        def measured(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            with self.piece(name):
                return function(*args, **kwargs)

        return measured


@lru_cache(maxsize=1)
def _clock_of_this_worker() -> Clock:
    clock = Clock()
    pesq.pesq = clock.around(PESQ, pesq.pesq)
    scoring.resample = clock.around(RESAMPLING, scoring.resample)
    return clock


def clocked_score(folder: str, pair: Pair, steps: Sequence[str]) -> Iterator[Score]:
    """bench.engine.scoring.score in a worker process, which writes into `folder` what it has spent so far."""
    clock = _clock_of_this_worker()
    scores = score(pair, steps)
    for step in steps:
        with clock.piece(FAMILIES.get(step.removesuffix("_wb").removesuffix("_nb"), "SI-SDR, SNR, gain")):
            result = next(scores)
        yield result
    others = time.process_time() - sum(clock.spent.values())
    Path(folder, f"{os.getpid()}.json").write_text(json.dumps({**clock.spent, "workers: start, pipes": others}), encoding="utf-8")


def clocked_in(folder: Path) -> Callable[[Pair, Sequence[str]], Iterator[Score]]:
    """The task for the pool: it can be sent to a process."""
    return partial(clocked_score, str(folder))


class Tokenizers:
    """Loads tokenizers, one a thread, whose encode and decode are measured."""

    def __init__(self, load: Callable[..., Tokenizer]) -> None:
        self._load, self._clocks = load, list[Clock]()

    def __call__(self, *args: object) -> Tokenizer:
        tokenizer, clock = self._load(*args), Clock()
        self._clocks.append(clock)
        for side in ("encode", "decode"):
            setattr(tokenizer, side, clock.around(CODEC, getattr(tokenizer, side)))
        return tokenizer

    @property
    def seconds(self) -> float:
        """Of all threads."""
        return sum(clock.spent[CODEC] for clock in self._clocks)
