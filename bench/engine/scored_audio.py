"""Reconstructions that are files already: read, cut or filled up to the length of their originals. Nothing is encoded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import torch

from bench.api import Audio, Clip, Reconstruction
from bench.data.audio import BadAudio, read_clip, to_channels
from bench.engine.worker_threads import ahead

SLACK = 2  # samples by which two roundings of one length may differ


def reconstructions(files: Mapping[str, Clip], clips: Iterable[Clip]) -> Iterator[Reconstruction]:
    """Every clip with its file, by the clip's id; a length that differs is noted, as is what is odd in either file."""
    return ahead((_one(clip, files[clip.id]) for clip in clips), 4)


def _one(clip: Clip, file: Clip) -> Reconstruction:
    codes = torch.zeros(0, 0, dtype=torch.int64)
    try:
        ref, est = read_clip(clip), read_clip(file)
    except BadAudio as error:
        nothing = Audio(torch.zeros(1, 0), 1)
        return Reconstruction(clip, nothing, nothing, codes, 0, failure=str(error))
    length = math.ceil(ref.wav.shape[-1] * est.sample_rate / ref.sample_rate)
    given = est.wav.shape[-1]
    missing = max(0, length - given)
    notes = [ref.note, est.note]
    if abs(length - given) > SLACK:
        what = "filled up with zeros" if missing else "cut"
        notes.append(f"the reconstruction has {given / est.sample_rate:.3f} s, the original {length / est.sample_rate:.3f} s: {what}")
    wav = torch.nn.functional.pad(est.wav[..., :length], (0, missing))
    original = Audio(to_channels(ref.wav, len(est.wav)), ref.sample_rate, "; ".join(filter(None, notes)))
    return Reconstruction(clip, original, Audio(wav, est.sample_rate), codes, length, tail_loss=missing)
