"""What an NVIDIA GPU reports by NVML (package nvidia-ml-py): driver, clocks, energy. None where package or card is absent."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import torch

Answer = TypeVar("Answer")
MISSING = "the GPU does not report its energy, or NVML is missing: pip install 'audio-tokenizer-bench[energy]'"


@lru_cache(maxsize=8)
def _handle(device: str):
    """NVML's handle of a torch device; None where there is none."""
    if torch.device(device).type != "cuda":
        return None
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(torch.device(device)).uuid}")
    except pynvml.NVMLError:
        return None


def _asked(device: str, question: Callable[..., Answer]) -> Answer | None:
    handle = _handle(device)
    if handle is None:
        return None
    import pynvml

    try:
        return question(pynvml, handle)
    except pynvml.NVMLError:  # this card does not tell
        return None


def driver(device: str) -> str | None:
    """The version of the driver."""
    return _asked(device, lambda nvml, handle: nvml.nvmlSystemGetDriverVersion())


def clocks(device: str) -> dict[str, int] | None:
    """MHz of the processors and of the memory, now and at most."""

    def ask(nvml, handle) -> dict[str, int]:
        return {
            "sm_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "sm_mhz_most": nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM),
            "memory_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
        }

    return _asked(device, ask)


def joules(device: str) -> float:
    """The energy that the card has used since its driver was loaded; NaN where it does not tell."""
    found = _asked(device, lambda nvml, handle: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000)
    return math.nan if found is None else found
