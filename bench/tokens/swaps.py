"""Codes of one clip with codes of another: which clips make a pair, and what is taken of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial

from torch import Tensor

from bench.api import Clip, Codes


def partners(clips: Iterable[Clip], seed: int) -> dict[str, Clip]:
    """For each clip of speech one of another speaker, with another text, in the same language; by chance, and by the seed and ids alone."""
    able = [clip for clip in clips if clip.domain == "speech" and clip.text and clip.speaker]

    def chance(clip: Clip, other: Clip) -> bytes:
        return hashlib.sha256(f"{seed} {clip.id} {other.id}".encode()).digest()

    found = {}
    for clip in able:
        others = [o for o in able if o.speaker != clip.speaker and o.text != clip.text and o.language == clip.language]
        if others:
            found[clip.id] = min(others, key=partial(chance, clip))
    return found


def mixed(content: Codes, voice: Codes, taken: Sequence[int], side: bool) -> Codes:
    """The codebooks `taken`, and the side codes or not, of the content, the others of the voice, begun again where it is shorter."""
    frames = _begun_again(voice.frames, content.frames.shape[-1]).clone()
    frames[:, list(taken)] = content.frames[:, list(taken)]
    if content.side is None or voice.side is None:
        return Codes(frames)
    return Codes(frames, content.side if side else _begun_again(voice.side, content.side.shape[-1]))


def _begun_again(codes: Tensor, length: int) -> Tensor:
    """codes [1, K, F] for so many frames."""
    return codes.repeat(1, 1, -(-length // max(1, codes.shape[-1])))[..., :length]
