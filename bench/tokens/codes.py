"""Codes [K, F] int64 as such: their contract, what they cost, how much two of them agree, and how often each came."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bench.api import LARGEST_COUNTED, Row, Score, Spec
from bench.tokens.mutual_information import entropy

if TYPE_CHECKING:
    from bench.api import Reconstruction


def check_codes(codes: Tensor, spec: Spec, batch: int) -> None:
    """Raises ValueError unless codes are [batch, K, F] int64 and every one lies in its codebook."""
    if codes.ndim != 3 or codes.shape[:2] != (batch, len(spec.codebooks)) or codes.dtype != torch.int64:
        raise ValueError(f"codes must be [{batch}, {len(spec.codebooks)}, F] int64, got {list(codes.shape)} {codes.dtype}")
    if codes.numel():
        sizes = torch.tensor([c.size for c in spec.codebooks], device=codes.device)[:, None]
        if bool(((codes < 0) | (codes >= sizes)).any()):
            raise ValueError(
                f"codes lie in {int(codes.min())}..{int(codes.max())}, outside of their codebooks {[c.size for c in spec.codebooks]}"
            )


def packed_bits(codes: Tensor, spec: Spec) -> int:
    """Bits of codes [K, F] written one after the other, the stream padded to a byte.

    Each takes the fewest whole bits; product codes, whose sizes are no powers of two, as digits of one number (mixed radix).
    """
    whole = sum(math.ceil(math.log2(c.size)) for c in spec.codebooks if not c.levels)
    mixed = sum(math.log2(c.size) for c in spec.codebooks if c.levels)
    return 8 * math.ceil((codes.shape[-1] * whole + math.ceil(codes.shape[-1] * mixed)) / 8)


def streams(codes: np.ndarray, spec: Spec) -> list[np.ndarray]:
    """Codes [K, F] -> those of each table in the order of time, [F] of a table of one stream, [m F] of one of m."""
    return [codes[list(table)].T.reshape(-1) for table in spec.tables]


def agreement(a: Tensor, b: Tensor) -> float:
    """Share of codes that are equal in two tensors of one shape; of no codes, all."""
    return float((a == b).double().mean()) if a.numel() else 1.0


def rates(item: Reconstruction) -> dict[str, Score]:
    """tokens_per_s and kbps_packed of one clip."""
    return {
        "tokens_per_s": Score(item.tokens / item.seconds, item.seconds),
        "kbps_packed": Score(item.packed_bits / item.seconds / 1000, item.seconds),
    }


def uncountable(spec: Spec) -> str:
    """Why it means nothing how often a code came; "" where it means something."""
    if all(c.size <= LARGEST_COUNTED and not math.isnan(c.rate) for c in spec.codebooks):
        return ""
    return "not applicable: codes are raw samples or variable-rate bytes"


class CodeCounts:
    """How often each code of each table came, pooled over the clips of a domain (a mean of per-clip entropies would be too low)."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, list[np.ndarray]] = {}

    def add(self, item: Reconstruction) -> None:
        """Counts one clip's codes [K, F]."""
        domain = item.clip.domain
        self.seconds[domain] = self.seconds.get(domain, 0.0) + item.seconds
        if not item.failure and not uncountable(self.spec):
            found = zip(streams(item.codes.numpy(), self.spec), self.spec.tables, strict=True)
            new = [np.bincount(codes, minlength=self.spec.codebooks[table[0]].size) for codes, table in found]
            old = self.counts.get(domain)
            self.counts[domain] = [a + b for a, b in zip(old, new, strict=True)] if old else new

    def rows(self, domain: str) -> list[Row]:
        """kbps_nominal, from the spec, and kbps_entropy: each table's zero-order entropy x the rate of its codes; NaN: it means nothing."""
        nominal = self.spec.bitrate / 1000
        rows = [
            Row(
                "*",
                domain,
                "",
                "kbps_nominal",
                nominal,
                note="" if math.isfinite(nominal) else "not applicable to a variable rate: see kbps_packed",
            )
        ]
        if domain in self.counts:
            rates = [len(table) * self.spec.codebooks[table[0]].rate for table in self.spec.tables]
            bits = sum(entropy(n) * rate for n, rate in zip(self.counts[domain], rates, strict=True))
            return [*rows, Row("*", domain, "", "kbps_entropy", bits / 1000)]
        return [*rows, Row("*", domain, "", "kbps_entropy", math.nan, note=uncountable(self.spec) or "no clip was encoded")]
