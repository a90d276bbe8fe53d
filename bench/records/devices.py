"""Devices in plain words: which names there are, and why one cannot be used here. torch is imported where it is asked, and not before."""

from __future__ import annotations

import re

from bench.api import UserError

KNOWN = "cpu, cuda, cuda:N (the N-th GPU, from 0) or mps"


def refuse_word(name: str) -> None:
    """UserError for what is no name of a device."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise UserError(f"device {name!r} cannot be used: give {KNOWN}, or leave --device out")


def device_of(name: str) -> str:
    """The device that a name stands for on this machine; UserError where it is not there."""
    import torch

    refuse_word(name)
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            built = "" if torch.version.cuda else f", torch {torch.__version__} is built without CUDA"
            raise UserError(f"device {name!r} cannot be used: no NVIDIA GPU is found here{built}: give --device cpu")
        if int(name.partition(":")[2] or 0) >= count:
            raise UserError(f"device {name!r} cannot be used: there are {count} GPUs here, cuda:0 to cuda:{count - 1}")
    if name == "mps" and not torch.backends.mps.is_available():
        raise UserError("device 'mps' cannot be used: it needs a Mac with Apple silicon: give --device cpu")
    return name
