"""What a run happens on. Speeds are compared within one machine only, so it is named beside them."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from bench.records import gpu_energy

CORES = "AUDIO_TOKENIZER_BENCH_CORES"  # how many of its machine's cores a process of a cluster was granted


def cores() -> int:
    """The cores this process may use."""
    if granted := os.environ.get(CORES):
        return int(granted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor(device: str) -> str:
    """The name of the card, or of the CPU with its family and model: virtual machines call generations of unlike speed by one name."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(torch.device(device))
    facts = dict(re.findall(r"^(model name|cpu family|model)\s*: (.+)$", _text("/proc/cpuinfo"), re.MULTILINE))
    if "model name" not in facts:
        return platform.processor() or platform.machine()
    numbers = f" (family {facts['cpu family']}, model {facts['model']})" if {"cpu family", "model"} <= set(facts) else ""
    return facts["model name"] + numbers


def speed(device: str) -> dict[str, object]:
    """What a speed depends on besides the tokenizer: part of what a timed run is."""
    cuda = torch.device(device).type == "cuda"
    return {
        "device": torch.device(device).type,
        "processor": processor(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        **({"driver": driver(device)} if cuda else {}),
    }


def driver(device: str) -> str:
    """The version of the driver; without NVML only that it is new enough for torch's CUDA."""
    return gpu_energy.driver(device) or f"unknown, serves CUDA {torch.version.cuda}"


def record(device: str) -> dict[str, object]:
    """Everything, for the record of a run."""
    return {
        **speed(device),
        "device": device,
        "cores": cores(),
        "python": platform.python_version(),
        "system": platform.system(),
        "clocks": _clocks(device),
    }


def _clocks(device: str) -> Mapping[str, float]:
    """MHz as the run begins; empty where the system does not tell."""
    if torch.device(device).type == "cuda":
        return gpu_energy.clocks(device) or {}
    now = re.findall(r"^cpu MHz\s*: ([\d.]+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    most = _text("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
    return {**({"cpu_mhz": max(map(float, now))} if now else {}), **({"cpu_mhz_most": int(most) / 1000} if most else {})}


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:  # not a Linux, or one that hides it
        return ""
