"""Short-time objective intelligibility: stoi (Taal et al. 2011) and estoi (Jensen and Taal 2016), own kernels, equal to pystoi within 1e-4.

Both compare third-octave envelopes at 10 kHz over 384 ms. The way to 10 kHz is the polyphase filter of the authors' code (as in
pystoi), not soxr: it is part of the definition, costs less here, and keeps the equality far below 1e-4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api import Score
from bench.metrics.delay import Pair, lag, shifted
from bench.metrics.mel import power_spectra
from bench.metrics.pair import once_per_pair, undefined, unfit

RATE = 10_000  # Hz
WINDOW, HOP, FFT = 256, 128, 512  # samples at RATE
BANDS, LOWEST = 15, 150.0  # third octaves, the first one's centre in Hz
SEGMENT = 30  # frames: 384 ms
RANGE = 40.0  # dB below the loudest frame of ref: quieter frames are silence
CLIP = 1 + 10 ** (15 / 20)  # lower bound of -15 dB on the signal-to-distortion ratio
EPS = torch.finfo(torch.float64).eps
PIECE = 512  # segments compared at once
TOO_FEW = f"fewer than {SEGMENT} active frames"


@dataclass(frozen=True)
class Polyphase:
    """A resampler by up / down as one strided convolution."""

    kernel: Tensor  # [up, 1, taps]
    up: int
    down: int
    before: int  # zeros put before the signal


@lru_cache(maxsize=8)
def _polyphase(sample_rate: int, device: torch.device) -> Polyphase:
    """Octave's resample filter: a sinc at the lower Nyquist rate under a 60 dB Kaiser window, roll-off a tenth of the stop band."""
    common = math.gcd(RATE, sample_rate)
    up, down = RATE // common, sample_rate // common
    cutoff = 1 / (2 * max(up, down))
    half = math.ceil((60 - 8) / (28.714 * cutoff / 10))
    time = torch.arange(-half, half + 1, dtype=torch.float64)
    taps = torch.sinc(2 * cutoff * time) * torch.kaiser_window(2 * half + 1, False, 0.1102 * (60 - 8.7), dtype=torch.float64)
    taps *= up / taps.sum()
    before, after = half // up, (half + down * (up - 1)) // up
    # output up * m + r reads input down * m + j through tap half + down * r - up * j
    index = half + down * torch.arange(up)[:, None] - up * torch.arange(-before, after + 1)
    kernel = torch.where((index >= 0) & (index <= 2 * half), taps[index.clamp(0, 2 * half)], 0.0)
    return Polyphase(kernel[:, None].float().to(device), up, down, before)


def _to_10k(wavs: Tensor, sample_rate: int) -> Tensor:
    """wavs [2, T] -> [2, ceil(10000 T / sample_rate)]."""
    if sample_rate == RATE:
        return wavs
    filters = _polyphase(sample_rate, wavs.device)
    length = -(-wavs.shape[-1] * filters.up // filters.down)
    columns = -(-length // filters.up)
    needed = (columns - 1) * filters.down + filters.kernel.shape[-1]
    padded = F.pad(wavs[:, None], (filters.before, max(0, needed - filters.before - wavs.shape[-1])))
    exact = torch.float64 if wavs.is_cuda else torch.float32  # of float32, cuDNN convolves the first ten bits (TF32)
    phases = F.conv1d(padded.to(exact), filters.kernel.to(exact), stride=filters.down)[..., :columns].float()
    return phases.transpose(1, 2).reshape(2, -1)[:, :length]


@lru_cache(maxsize=4)
def _third_octaves(device: torch.device) -> Tensor:
    """[bins, BANDS] of 0 and 1: band edges lie on the nearest bin."""
    bins = torch.linspace(0, RATE, FFT + 1, dtype=torch.float64)[: FFT // 2 + 1]
    steps = torch.arange(BANDS, dtype=torch.float64)
    low, high = ((bins - (LOWEST * 2 ** ((2 * steps + side) / 6))[:, None]).square().argmin(1) for side in (-1, 1))
    index = torch.arange(len(bins))[:, None]
    return ((index >= low) & (index < high)).float().to(device)


@once_per_pair
def _envelopes(ref: Tensor, est: Tensor, sample_rate: int) -> Pair | None:
    """Third-octave magnitudes [BANDS, frames] of both where ref is not silent; None where that leaves fewer than SEGMENT frames."""
    wavs = _to_10k(torch.stack([ref, est]), sample_rate)
    if wavs.shape[-1] <= WINDOW:
        return None
    window = torch.hann_window(WINDOW + 2, periodic=False, device=ref.device)[1:-1]
    frames = wavs[:, :-1].unfold(-1, WINDOW, HOP) * window  # the authors' loop never takes a frame that ends with the signal
    level = 20 * (frames[0].norm(dim=-1) + EPS).log10()
    kept = frames[:, level > level.amax() - RANGE]
    if kept.shape[1] <= SEGMENT:
        return None
    # overlap-add of the kept frames, then the frames of that: all but the last are made of halves of three neighbours
    joined = F.pad(kept[..., :HOP], (0, 0, 0, 1)) + F.pad(kept[..., HOP:], (0, 0, 1, 0))
    again = torch.cat([joined[:, :-2], joined[:, 1:-1]], dim=-1) * window
    both = (power_spectra(again, FFT) @ _third_octaves(ref.device)).sqrt().transpose(1, 2)
    return Pair(both[0].contiguous(), both[1].contiguous())


def _segments(envelopes: Pair) -> Iterator[Pair]:
    """All runs of SEGMENT frames [BANDS, n, SEGMENT], some at a time."""
    ref, est = envelopes.ref.unfold(-1, SEGMENT, 1), envelopes.est.unfold(-1, SEGMENT, 1)
    for start in range(0, ref.shape[1], PIECE):
        yield Pair(ref[:, start : start + PIECE], est[:, start : start + PIECE])


def _standard(x: Tensor, dim: int) -> Tensor:
    """x with mean 0 and norm 1 along dim; 0 where it does not vary."""
    x = x - x.mean(dim, keepdim=True)
    return x.mul_(x.square().sum(dim, keepdim=True).clamp_min(1e-30).rsqrt_())  # torch's norm is 20 x slower over the first axis


def _stoi(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    envelopes = _envelopes(ref, est, sample_rate)
    if envelopes is None:
        return undefined(TOO_FEW)
    total = torch.zeros((), dtype=torch.float64, device=ref.device)
    for some in _segments(envelopes):
        scale = some.ref.norm(dim=-1, keepdim=True) / (some.est.norm(dim=-1, keepdim=True) + EPS)
        clipped = torch.minimum(some.est * scale, some.ref * CLIP)
        total += (_standard(clipped, -1) * _standard(some.ref, -1)).sum()
    return Score(total.item() / (BANDS * (envelopes.ref.shape[-1] - SEGMENT + 1)))


def stoi(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """STOI, at most 1, higher is better (Taal et al. 2011, doi.org/10.1109/TASL.2011.2114881); NaN below 30 active frames."""
    if note := unfit(ref, est, sample_rate):
        return undefined(note)
    return _stoi(ref, est, sample_rate)


def estoi(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """Extended STOI, at most 1, higher is better (Jensen and Taal 2016, doi.org/10.1109/TASLP.2016.2585878)."""
    if note := unfit(ref, est, sample_rate):
        return undefined(note)
    envelopes = _envelopes(ref, est, sample_rate)
    if envelopes is None:
        return undefined(TOO_FEW)
    total = torch.zeros((), dtype=torch.float64, device=ref.device)
    for some in _segments(envelopes):
        total += (_standard(_standard(some.ref, -1), 0) * _standard(_standard(some.est, -1), 0)).sum()
    return Score(total.item() / (SEGMENT * (envelopes.ref.shape[-1] - SEGMENT + 1)))


def stoi_aligned(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """STOI of the overlap after moving est by delay_ms, to the nearest sample."""
    if note := unfit(ref, est, sample_rate, 0.1, loud_estimate=True):
        return undefined(note)
    found = lag(ref, est, sample_rate)
    if found is None:
        return undefined("no delay can be estimated")
    pair = shifted(ref, est, round(found.samples))
    return _stoi(pair.ref, pair.est, sample_rate)
