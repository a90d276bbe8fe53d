"""The columns of what two voices share that read the same text: shared_* of speech, from trios of clips (bench/tokens/alignment.py)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bench.api import Score
from bench.tokens import shared_information as shared
from bench.tokens.alignment import Trio, aligned, times, words
from bench.tokens.phone_information import at
from bench.tokens.scored import Encoded, Scored, mean_of, missing

SHARED_COLUMNS = ("shared_bits", "shared_share", "shared_mi", "shared_bits_low", "shared_bits_high")


def shared_scores(
    trios: Sequence[Trio], clips: Mapping[str, Encoded], features: Mapping[str, np.ndarray], rates: Sequence[float], seed: int
) -> dict[str, Scored]:
    """clips and features: by clip id; rates: codes per second of every table."""
    found = [trio for trio in trios if {trio.a, trio.b, trio.other} <= clips.keys()]
    if not found:
        return dict.fromkeys(SHARED_COLUMNS, missing("needs one text read by two speakers, and another text of the same two"))
    compared: list[list[shared.Compared]] = [[] for _ in rates]
    for trio in found:
        a, b, other = clips[trio.a], clips[trio.b], clips[trio.other]
        paths = aligned(features[trio.a], features[trio.b]), aligned(features[trio.a], features[trio.other])
        for k, rate in enumerate(rates):
            same, control = _pair(a, b, k, rate, paths[0]), _pair(a, other, k, rate, paths[1])
            voices = (a.clip.speaker, b.clip.speaker)
            compared[k].append(shared.Compared(words(a.clip.text), voices, same, control, _any_equal(a.codes[k], other.codes[k])))
    texts = [shared.by_text(book) for book in compared]
    lifts = [shared.lift(book) for book in texts]
    whole = shared.pooled(texts)
    bits, share = shared.lift(whole)
    low, high = shared.interval(whole, seed) if math.isfinite(bits.value) else (bits, bits)
    return {
        "shared_bits": Scored(bits, tuple(one for one, _ in lifts)),
        "shared_share": Scored(share, tuple(one for _, one in lifts)),
        "shared_mi": mean_of([shared.mutual(book, seed) for book in compared]),
        "shared_bits_low": Scored(Score(low.value, note=low.note)),
        "shared_bits_high": Scored(Score(high.value, note=high.note)),
    }


def _pair(a: Encoded, b: Encoded, k: int, rate: float, path: np.ndarray) -> shared.Pair:
    """Codes of table k along a path of frames of both clips' features."""
    seconds = times(path[:, 0]), times(path[:, 1])
    at_a, at_b = ((one * rate).astype(int).clip(max=len(clip.codes[k]) - 1) for one, clip in zip(seconds, (a, b), strict=True))
    return shared.Pair(at(a.codes[k], rate, seconds[0]), at(b.codes[k], rate, seconds[1]), at_a, at_b)


def _any_equal(a: np.ndarray, b: np.ndarray) -> float:
    """Share of all pairs of codes that are equal."""
    used = np.unique(np.concatenate([a, b]))
    of_a, of_b = (np.bincount(np.searchsorted(used, side), minlength=len(used)) for side in (a, b))
    return float(of_a @ of_b) / (len(a) * len(b))
