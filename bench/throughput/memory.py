"""Bytes of memory at their highest: of the device by torch's allocator, of this process as Linux counts them (NaN elsewhere)."""

from __future__ import annotations

import ctypes
import gc
import math
import re
from pathlib import Path

import torch

STATUS, RESET, SYSTEM = Path("/proc/self/status"), Path("/proc/self/clear_refs"), Path("/proc/meminfo")
UNTOLD = "this system does not report a process's peak memory"


def settled() -> float:
    """What this process holds, after it gave back what it does not use."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # not glibc
        pass
    return held()


def held() -> float:
    """What this process holds at this moment."""
    return _kib(STATUS, "VmRSS")


def start(device: str) -> None:
    """Forgets earlier peaks."""
    try:
        RESET.write_text("5")  # proc(5): resets the peak of the resident set
    except OSError:  # not a Linux, or one that does not let us: `peak` says so
        pass
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(torch.device(device))


def peak() -> float:
    """The most that this process has held since `start`."""
    return _kib(STATUS, "VmHWM") if RESET.exists() else math.nan


def device_peak(device: str) -> float:
    """The most that tensors have taken of the device since `start`; NaN of a CPU."""
    return torch.cuda.max_memory_allocated(torch.device(device)) if torch.device(device).type == "cuda" else math.nan


def available() -> float:
    """What the system could still give to processes."""
    return _kib(SYSTEM, "MemAvailable")


def _kib(path: Path, field: str) -> float:
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB$", path.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return math.nan
    return 1024 * int(found[1]) if found else math.nan
