"""How the codes of each codebook are used: columns of the suite codes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.api import Score, Spec
from bench.tokens.mutual_information import entropy, of_next, zipf_slope
from bench.tokens.scored import Encoded, Scored, mean_of

ENOUGH = 10  # frames for each code: with fewer, a good codebook cannot be told from one that is half dead
FEW = "below 10: utilization, entropies and perplexity are underestimated on so little audio"


def usage_scores(clips: Sequence[Encoded], spec: Spec, seed: int) -> dict[str, Scored]:
    """By column."""
    scores: dict[str, list[Score]] = {}
    for k, table in enumerate(spec.tables):
        size, mine = spec.codebooks[table[0]].size, [clip.codes[k] for clip in clips]
        counts = np.bincount(np.concatenate(mine), minlength=size)
        again = sum(int((codes[1:] == codes[:-1]).sum()) for codes in mine)
        bits, next_bits = entropy(counts), of_next(mine, seed)
        values = {
            "frames_per_code": counts.sum() / size,
            "codebook_utilization": (counts > 0).mean(),
            "dead_codes": (counts == 0).sum(),
            "perplexity_norm": 2**bits / size,
            "entropy_bits": bits,
            "entropy_norm": bits / math.log2(size) if size > 1 else math.nan,
            "zipf_slope": zipf_slope(counts),
            "repeat_rate": again / max(1, counts.sum() - len(mine)),
            "bigram_bits": next_bits.raw,
            "bigram_bits_shuffled": next_bits.control,
        }
        notes = {"frames_per_code": FEW if values["frames_per_code"] < ENOUGH else ""}
        for name, value in values.items():
            note = notes.get(name, "" if math.isfinite(value) else "too few codes")
            scores.setdefault(name, []).append(Score(float(value), note=note))
    found = {name: mean_of(each) for name, each in scores.items()}
    dead = scores["dead_codes"]
    return found | {"dead_codes": Scored(Score(sum(score.value for score in dead)), tuple(dead))}
