"""Prequential code length: what clips cost a model that has learned from those before them, its learning included.

The first block is written with log2(size) bits a code; each later one, as long as all before it, by a model that learned from those
(Dawid 1984; as description length, Voita and Titov 2020, arxiv.org/abs/2003.12298). The clips that stop the learning are not written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bench.lm.streams import Alphabet, Stream

EDGES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # of the blocks, in shares of the audio


def blocks(clips: tuple[str, ...], streams: Mapping[str, Stream], seed: int) -> list[tuple[str, ...]]:
    """The clips in random order, in blocks; none where there are too few of them for every block to have one."""
    order = [clips[i] for i in np.random.default_rng(seed).permutation(len(clips))]
    ends = np.cumsum([streams[clip].seconds for clip in order])
    places = [int(np.searchsorted(ends, edge * ends[-1] - 1e-9)) + 1 for edge in EDGES]
    found = [tuple(order[start:stop]) for start, stop in zip([0, *places], places, strict=False)]
    return found if all(found) else []


def uniform_bits(clips: Sequence[str], streams: Mapping[str, Stream], alphabet: Alphabet) -> float:
    """Bits of all codes of clips, each of its codebook's equally likely."""
    a_frame = sum(math.log2(alphabet.sizes[table]) for table in alphabet.tables)
    return a_frame * sum(len(streams[clip].codes) for clip in clips)
