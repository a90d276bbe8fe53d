"""What a codebook's codes tell of the phone that is spoken: PNMI (Hsu et al. 2021, arxiv.org/abs/2106.07447) and the two purities.

Phones are sampled RATE times a second, silence among them, and the code is the one of that moment. Counting finds dependence in anything,
the more of it the more codes there are; E is what it finds when the phones of each voice, in the order of time, are turned against its
codes by a random amount: neither the codes nor the phones lose how they follow each other, only the moment. See `Counted.adjusted`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.data.alignments import SILENCE, Phone
from bench.tokens.mutual_information import SHUFFLES, Counted, entropy

RATE = 50  # Hz


@dataclass(frozen=True)
class OfPhones:
    """Of one codebook. Shares: of the phones' entropy, and of the moments."""

    information: Counted
    phone_purity: float  # moments whose phone is the commonest one of their code: rises with the codebook's size
    cluster_purity: float  # moments whose code is the commonest one of their phone: falls with it


def moments(phones: Sequence[Phone], seconds: float) -> tuple[np.ndarray, list[str]]:
    """Seconds and phone of every sample of a clip; where no phone is said to be, no sample is taken."""
    times = (np.arange(int(seconds * RATE)) + 0.5) / RATE
    ends = np.array([phone.end for phone in phones])
    index = np.searchsorted(ends, times, side="right")
    there = [i for i, at in enumerate(index) if at < len(phones) and phones[at].start <= times[i]]
    return times[there], [phones[index[i]].name for i in there]


def at(codes: np.ndarray, rate: float, times: np.ndarray) -> np.ndarray:
    """The codes [n] of a clip at times in seconds; beyond its end, the last."""
    return codes[(times * rate).astype(np.int64).clip(max=len(codes) - 1)]


def segments(codes: Sequence[np.ndarray], rates: Sequence[float], start: float, end: float) -> list[np.ndarray]:
    """Of every table, the codes that are there at some time from start to end, in seconds; at least one."""
    found = []
    for stream, rate in zip(codes, rates, strict=True):
        first = min(int(start * rate), len(stream) - 1)
        found.append(stream[first : max(first + 1, math.ceil(end * rate - 1e-6))])
    return found


def spoken(phones: Sequence[Phone]) -> list[Phone]:
    """Without silence."""
    return [phone for phone in phones if phone.name != SILENCE]


def of_phones(codes: Sequence[np.ndarray], phones: Sequence[Sequence[str]], voices: Sequence[str], seed: int) -> OfPhones:
    """codes: those of each clip's moments, phones: what is spoken then; voices: one a clip. NaN for fewer than two phones."""
    order = sorted(range(len(codes)), key=lambda i: voices[i])
    names, phone = np.unique(np.array([name for i in order for name in phones[i]], dtype=object).astype(str), return_inverse=True)
    if len(names) < 2:
        return OfPhones(Counted(math.nan, math.nan), math.nan, math.nan)
    used, code = np.unique(np.concatenate([codes[i] for i in order]), return_inverse=True)
    ends = np.cumsum([len(codes[i]) for i in order])
    last = [k for k in range(len(order)) if k + 1 == len(order) or voices[order[k]] != voices[order[k + 1]]]
    parts = np.split(phone, ends[last][:-1])
    of_phone, of_code = entropy(np.bincount(phone)), entropy(np.bincount(code))
    size = len(names) * len(used)

    def share(turned: np.ndarray) -> float:
        return (of_phone + of_code - entropy(np.bincount(turned * len(used) + code, minlength=size))) / of_phone

    random = np.random.default_rng(seed)
    turned = (np.concatenate([np.roll(part, random.integers(len(part))) if len(part) else part for part in parts]) for _ in range(SHUFFLES))
    information = Counted(share(phone), float(np.mean([share(one) for one in turned])))
    joint = np.bincount(phone * len(used) + code, minlength=size).reshape(len(names), len(used))
    return OfPhones(information, float(joint.max(0).sum() / len(phone)), float(joint.max(1).sum() / len(phone)))
