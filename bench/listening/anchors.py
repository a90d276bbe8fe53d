"""The low-pass filtered anchors of ITU-R BS.1534-3: 3.5 kHz (low) and 7 kHz (mid)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

ANCHORS = (3500, 7000)  # Hz
WIDTH = 500.0  # Hz from the end of the passband to the stopband; the Recommendation asks for 25 dB at 4 kHz and 50 dB at 4.5 kHz
STOPBAND = 65.0  # dB


def lowpass(wav: Tensor, sample_rate: int, hz: float) -> Tensor:
    """wav [T] without what is above hz + 500 Hz; in phase with wav, and flat to 0.01 dB up to hz."""
    from scipy.signal import fftconvolve  # here: the command line answers without waiting for scipy

    return torch.from_numpy(fftconvolve(wav.double().numpy(), taps(sample_rate, hz), mode="same")).float()


def taps(sample_rate: int, hz: float) -> np.ndarray:
    """The filter, a sinc in a window of Kaiser's: an odd number of taps, the middle one at 0."""
    from scipy.signal import kaiserord

    count, beta = kaiserord(STOPBAND, WIDTH / (sample_rate / 2))
    cutoff, places = 2 * (hz + WIDTH / 2) / sample_rate, np.arange(count | 1) - (count | 1) // 2
    found = cutoff * np.sinc(cutoff * places) * np.kaiser(count | 1, beta)
    return found / found.sum()


def audible(source_rate: int, hz: float) -> bool:
    """Whether the anchor of a recording at `source_rate` lacks anything that the recording has."""
    return source_rate / 2 > hz + WIDTH
