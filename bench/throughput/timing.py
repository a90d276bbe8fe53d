"""Wall time of a call, repeated. On a GPU by CUDA events around the call, so that what is timed has been done, not merely asked for."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from bench.records import gpu_energy

LEAST, MOST = 5, 50  # repeats
BUDGET = 3.0  # s of repeats, once there are the least


@dataclass(frozen=True)
class Times:
    """Seconds of each repeat, and the energy of a call in joules, NaN where the device does not tell."""

    seconds: tuple[float, ...]
    joules: float = math.nan

    def at(self, percent: float) -> float:
        """That percentile."""
        return float(np.percentile(self.seconds, percent))


def once(call: Callable[[], object], device: str) -> float:
    """Seconds of one call, from a device at rest to a device at rest."""
    if torch.device(device).type != "cuda":
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    with torch.cuda.device(device):
        torch.cuda.synchronize()
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000


def timed(call: Callable[[], object], device: str, least: int = LEAST, most: int = MOST, budget: float = BUDGET) -> Times:
    """Repeats of a call that is warm already. The garbage collector waits until they are done."""
    seconds: list[float] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        before = gpu_energy.joules(device)
        while len(seconds) < least or (len(seconds) < most and sum(seconds) < budget):
            seconds.append(once(call, device))
        return Times(tuple(seconds), (gpu_energy.joules(device) - before) / len(seconds))
    finally:
        if collecting:
            gc.enable()
