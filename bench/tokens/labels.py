"""Phone labels as codes (`Spec.labelled`): what no tokenizer can know, and the best that a column of codes could say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch

from bench.api import Reconstruction, Spec, UserError
from bench.data.alignments import SILENCE, Alignment, Phone


def inventory(found: Iterable[Alignment | None], spec: Spec) -> dict[str, int]:
    """The code of every phone; silence, and whatever is not said to be a phone, is 0. UserError for more than the codebook holds."""
    names = sorted({phone.name for alignment in found if alignment for phone in alignment.phones} - {SILENCE})
    if len(names) >= spec.codebooks[0].size:
        raise UserError(f"{spec.label}: the alignments name {len(names)} phones, its codebook holds {spec.codebooks[0].size - 1}")
    return {SILENCE: 0} | {name: i for i, name in enumerate(names, 1)}


def labelled(item: Reconstruction, alignment: Alignment | None, codes: dict[str, int], rate: float) -> Reconstruction:
    """The item with the code of the phone in the middle of each frame; a clip without phones has failed."""
    if item.failure:
        return item
    if alignment is None or not alignment.phones:
        return replace(item, codes=item.codes[:, :0], failure="its manifest names no alignment with phones: there is no label to take")
    return replace(item, codes=torch.from_numpy(at(alignment.phones, item.codes.shape[1], codes, rate))[None])


def at(phones: Sequence[Phone], frames: int, codes: dict[str, int], rate: float) -> np.ndarray:
    """The code of the phone in the middle of each frame, [frames] int64."""
    times = (np.arange(frames) + 0.5) / rate
    found = np.zeros(frames, dtype=np.int64)
    for phone in phones:
        found[(phone.start <= times) & (times < phone.end)] = codes[phone.name]
    return found
