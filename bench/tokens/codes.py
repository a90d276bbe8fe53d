"""Codes [K, F] int64 and side codes [S, N] as such: their contract, what they cost, how much two of them agree, and how often each came."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bench.api import LARGEST_COUNTED, LEVEL_BITS, Codebook, Codes, Row, Score, Spec, UserError
from bench.tokens.mutual_information import entropy

if TYPE_CHECKING:
    from bench.api import Reconstruction

KEPT = "codes.json"  # what a shard leaves: domain -> [seconds, clips, how often each code of each table came]


def check_codes(codes: Codes, spec: Spec, batch: int) -> None:
    """Raises ValueError unless codes are [batch, K, F], side codes [batch, S, N] int64 and every one lies in its codebook."""
    _check("codes", codes.frames, spec.codebooks, batch, "F")
    if codes.side is not None:
        once = any(book.rate == 0 for book in spec.side)
        _check("side codes", codes.side, spec.side, batch, "1" if once else "N")
        if once and codes.side.shape[-1] != 1 and spec.longest is None:  # pieces of a long clip have theirs
            raise ValueError(f"side codes of rate 0 come once: they must be [{batch}, {len(spec.side)}, 1], got {list(codes.side.shape)}")


def _check(what: str, codes: Tensor, books: Sequence[Codebook], batch: int, last: str) -> None:
    if codes.ndim != 3 or codes.shape[:2] != (batch, len(books)) or codes.dtype != torch.int64:
        raise ValueError(f"{what} must be [{batch}, {len(books)}, {last}] int64, got {list(codes.shape)} {codes.dtype}")
    if codes.numel():
        sizes = torch.tensor([c.size for c in books], device=codes.device)[:, None]
        wrong = ((codes < 0) | (codes >= sizes)).any(0).any(-1)
        if bool(wrong.any()):
            k = int(wrong.nonzero()[0])
            low, high = int(codes[:, k].min()), int(codes[:, k].max())
            raise ValueError(f"{what} of codebook {k} lie in {low}..{high}, outside of their codebooks {[c.size for c in books]}")


def packed_bits(codes: Tensor, spec: Spec, side: Tensor | None = None) -> int:
    """Bits of codes [K, F], side codes [S, N] and a lost level, written one after the other, the stream padded to a byte.

    Each takes the fewest whole bits; product codes, whose sizes are no powers of two, as digits of one number (mixed radix).
    """
    return 8 * math.ceil((_bits(spec.codebooks, codes.shape[-1]) + side_bits(spec, side)) / 8)


def side_bits(spec: Spec, side: Tensor | None) -> int:
    """Bits of side codes [S, N], and of the level where decode loses it."""
    return (0 if side is None else _bits(spec.side, side.shape[-1])) + (0 if spec.keeps_level else LEVEL_BITS)


def _bits(books: Sequence[Codebook], count: int) -> int:
    """Of so many codes of each."""
    whole = sum(math.ceil(math.log2(c.size)) for c in books if not c.levels)
    mixed = sum(math.log2(c.size) for c in books if c.levels)
    return count * whole + math.ceil(count * mixed)


def flat(codes: Codes) -> Tensor:
    """All codes of a batch [B, n], those of the frames first."""
    return torch.cat([part.flatten(1) for part in codes.parts], dim=1)


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
    varies = any(math.isnan(c.rate) for c in spec.codebooks) and not spec.durations
    if all(c.size <= LARGEST_COUNTED for c in spec.codebooks) and not varies:
        return ""
    return "not applicable: codes are raw samples or variable-rate bytes"


class CodeCounts:
    """How often each code of each table came, pooled over the clips of a domain (a mean of per-clip entropies would be too low)."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.seconds: dict[str, Fraction] = {}  # exact, and so the same in any order
        self.counts: dict[str, list[np.ndarray]] = {}
        self.clips: dict[str, int] = {}  # that were encoded

    def add(self, item: Reconstruction) -> None:
        """Counts one clip's codes [K, F]."""
        domain = item.clip.domain
        self.seconds[domain] = self.seconds.get(domain, Fraction()) + Fraction(item.seconds)
        if not item.failure and not uncountable(self.spec):
            found = zip(streams(item.codes.numpy(), self.spec), self.spec.tables, strict=True)
            new = [np.bincount(codes, minlength=self.spec.codebooks[table[0]].size) for codes, table in found]
            self._count(domain, new, 1)

    def _count(self, domain: str, new: list[np.ndarray], clips: int) -> None:
        old = self.counts.get(domain)
        self.counts[domain] = [a + b for a, b in zip(old, new, strict=True)] if old else new
        self.clips[domain] = self.clips.get(domain, 0) + clips

    def keep(self, folder: Path) -> None:
        """Writes what was counted into a shard's folder, for `take`; UserError where it cannot."""
        found = {
            domain: [str(seconds), self.clips.get(domain, 0), [table.tolist() for table in self.counts.get(domain, ())]]
            for domain, seconds in self.seconds.items()
        }
        try:
            (folder / KEPT).write_text(json.dumps(found) + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{folder / KEPT}: {error.strerror or error}: correct it and repeat the command") from error

    def take(self, folder: Path) -> None:
        """Adds what `keep` wrote there; UserError where nothing is."""
        try:
            found = json.loads((folder / KEPT).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{folder / KEPT}: cannot be read ({error}): run that shard again with --fresh") from error
        for domain, (seconds, clips, tables) in found.items():
            self.seconds[domain] = self.seconds.get(domain, Fraction()) + Fraction(seconds)
            if tables:
                self._count(domain, [np.array(table) for table in tables], clips)

    def rows(self, domain: str) -> list[Row]:
        """kbps_nominal, from the spec, and kbps_entropy: each table's zero-order entropy x the rate of its codes; NaN: it means nothing.

        Of side codes there are too few for an entropy: they count at their full size.
        """
        nominal, once = self.spec.bitrate / 1000, self.spec.bits_once
        varies = "" if math.isfinite(nominal) else "not applicable to a variable rate: see kbps_packed"
        rows = [Row("*", domain, "", "kbps_nominal", nominal, note=varies or (f"without {once:g} bit once an utterance" if once else ""))]
        if domain not in self.counts:
            return [*rows, Row("*", domain, "", "kbps_entropy", math.nan, note=uncountable(self.spec) or "no clip was encoded")]
        counts, seconds = self.counts[domain], float(self.seconds[domain])
        stated = [len(table) * self.spec.codebooks[table[0]].rate for table in self.spec.tables]
        rates = [n.sum() / seconds if math.isnan(rate) else rate for n, rate in zip(counts, stated, strict=True)]
        bits = sum(entropy(n) * rate for n, rate in zip(counts, rates, strict=True))
        beside = sum(book.rate * math.log2(book.size) for book in self.spec.side) + once * self.clips[domain] / seconds
        note = "side codes and level count at their full size" if beside else ""
        return [*rows, Row("*", domain, "", "kbps_entropy", (bits + beside) / 1000, note=note)]
