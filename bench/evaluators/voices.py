"""What a speaker encoder makes of a sound: a voice, or why there is none to be heard."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import Audio
from bench.data.audio import resample, to_channels
from bench.evaluators.speaker import SpeakerEncoder
from bench.metrics import SPEECH
from bench.metrics.pair import LOUDEST, SILENCE

SHORTEST = 0.5  # s: less is too little of a voice
RATE = SPEECH["speech"]


@dataclass(frozen=True)
class Voice:
    """What the judge made of a clip: a unit vector [D] on the CPU, or the reason why there is none."""

    vector: Tensor | None
    note: str = ""


def hear(encoder: SpeakerEncoder, audio: Audio, device: str, what: str) -> Voice:
    """The voice of audio [C, T]; `what` it is, for the note."""
    wav = resample(to_channels(audio.wav, 1), audio.sample_rate, RATE)[0]
    if len(wav) < SHORTEST * RATE:
        return Voice(None, f"{what} is shorter than {SHORTEST:g} s")
    peak = float(wav.abs().max())
    if not SILENCE <= peak <= LOUDEST:
        return Voice(None, f"{what} is silent" if peak < SILENCE else f"{what} has NaN, infinite or huge samples")
    vector = encoder(wav.to(device)).float().cpu()
    return (
        Voice(vector)
        if bool(torch.isfinite(vector).all())
        else Voice(None, f"the speaker encoder gives no finite embedding for the {what}")
    )
