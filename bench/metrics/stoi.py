"""Short-time objective intelligibility: stoi (Taal et al. 2011) and estoi (Jensen and Taal 2016), own kernels, equal to pystoi within 1e-4.

Both compare third-octave envelopes at 10 kHz over 384 ms. The way to 10 kHz is the polyphase filter of the authors' code (as in
pystoi), not soxr: it is part of the definition, costs less here, and keeps the equality far below 1e-4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api import Score
from bench.metrics.delay import lags, moved
from bench.metrics.frames import per_clip
from bench.metrics.mel import power_spectra
from bench.metrics.pair import Pairs, metric, shared, undefined

RATE = 10_000  # Hz
WINDOW, HOP, FFT = 256, 128, 512  # samples at RATE
BANDS, LOWEST = 15, 150.0  # third octaves, the first one's centre in Hz
SEGMENT = 30  # frames: 384 ms
RANGE = 40.0  # dB below the loudest frame of ref: quieter frames are silence
CLIP = 1 + 10 ** (15 / 20)  # lower bound of -15 dB on the signal-to-distortion ratio
EPS = torch.finfo(torch.float64).eps
PIECE, PIECE_ON_GPU = 512, 1 << 15  # segments compared at once
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
    """wavs [..., T] -> [..., ceil(10000 T / sample_rate)]."""
    if sample_rate == RATE:
        return wavs
    filters = _polyphase(sample_rate, wavs.device)
    length = _length_at_10k(wavs.shape[-1], sample_rate)
    columns = -(-length // filters.up)
    needed = (columns - 1) * filters.down + filters.kernel.shape[-1]
    padded = F.pad(wavs.reshape(-1, 1, wavs.shape[-1]), (filters.before, max(0, needed - filters.before - wavs.shape[-1])))
    exact = torch.float64 if wavs.is_cuda else torch.float32  # of float32, cuDNN convolves the first ten bits (TF32)
    phases = F.conv1d(padded.to(exact), filters.kernel.to(exact), stride=filters.down)[..., :columns].float()
    return phases.transpose(1, 2).reshape(*wavs.shape[:-1], -1)[..., :length]


def _length_at_10k(samples: int, sample_rate: int) -> int:
    return -(-samples * RATE // sample_rate)


@lru_cache(maxsize=4)
def _third_octaves(device: torch.device) -> Tensor:
    """[bins, BANDS] of 0 and 1: band edges lie on the nearest bin."""
    bins = torch.linspace(0, RATE, FFT + 1, dtype=torch.float64)[: FFT // 2 + 1]
    steps = torch.arange(BANDS, dtype=torch.float64)
    low, high = ((bins - (LOWEST * 2 ** ((2 * steps + side) / 6))[:, None]).square().argmin(1) for side in (-1, 1))
    index = torch.arange(len(bins))[:, None]
    return ((index >= low) & (index < high)).float().to(device)


@dataclass(frozen=True)
class Envelopes:
    """Third-octave magnitudes [BANDS, n] of both sides where ref is not silent, clip after clip."""

    ref: Tensor
    est: Tensor
    owner: Tensor  # [segments] clip of each run of SEGMENT frames; the number of clips where it lies across a border
    counts: tuple[int, ...]  # segments of each clip; 0 where too few frames are active

    def segments(self) -> Iterator[Envelopes]:
        """All runs of SEGMENT frames [BANDS, n, SEGMENT], some at a time."""
        ref, est = self.ref.unfold(-1, SEGMENT, 1), self.est.unfold(-1, SEGMENT, 1)
        size = PIECE if ref.device.type == "cpu" else PIECE_ON_GPU
        for start in range(0, ref.shape[1], size):
            some = slice(start, start + size)
            yield Envelopes(ref[:, some], est[:, some], self.owner[some], self.counts)


@shared
def _envelopes(pairs: Pairs) -> Envelopes | None:
    """None where no clip has enough active frames."""
    wavs = _to_10k(torch.stack([pairs.padded.ref, pairs.padded.est]), pairs.sample_rate)
    if wavs.shape[-1] <= WINDOW:
        return None
    window = torch.hann_window(WINDOW + 2, periodic=False, device=pairs.device)[1:-1]
    frames = wavs[..., :-1].unfold(-1, WINDOW, HOP) * window  # the authors' loop never takes a frame that ends with the signal
    level = 20 * (frames[0].norm(dim=-1) + EPS).log10()
    ends = torch.tensor([(_length_at_10k(len(ref), pairs.sample_rate) - 1 - WINDOW) // HOP + 1 for ref in pairs.refs], device=pairs.device)
    level[torch.arange(level.shape[1], device=pairs.device) >= ends[:, None]] = -torch.inf
    active = level > level.amax(1, keepdim=True) - RANGE
    owner, kept = active.nonzero()[:, 0], frames[:, active]
    counts = tuple(max(0, n - SEGMENT) for n in active.sum(1).tolist())
    if not any(counts):
        return None
    # overlap-add of the kept frames of a clip, then the frames of that: all but the last are made of halves of three neighbours
    joined = kept[..., :HOP]
    joined[:, 1:] += kept[:, :-1, HOP:] * (owner[1:] == owner[:-1])[:, None]
    again = torch.cat([joined[:, :-1], joined[:, 1:]], dim=-1) * window
    ref, est = (power_spectra(again, FFT) @ _third_octaves(pairs.device)).sqrt().transpose(1, 2).contiguous()
    return Envelopes(ref, est, owner[:-SEGMENT].where(owner[:-SEGMENT] == owner[SEGMENT:], len(pairs)), counts)


def _standard(x: Tensor, dim: int) -> Tensor:
    """x with mean 0 and norm 1 along dim; 0 where it does not vary."""
    x = x - x.mean(dim, keepdim=True)
    return x.mul_(x.square().sum(dim, keepdim=True).clamp_min(1e-30).rsqrt_())  # torch's norm is 20 x slower over the first axis


def _means(pairs: Pairs, compare: Callable[[Tensor, Tensor], Tensor], terms: int) -> list[Score]:
    """Mean over the segments of each clip of compare(ref, est [BANDS, n, SEGMENT]), summed [BANDS, n, SEGMENT] and divided by `terms`."""
    envelopes = _envelopes(pairs)
    if envelopes is None:
        return [undefined(TOO_FEW)] * len(pairs)
    total = torch.zeros(len(pairs), dtype=torch.float64, device=pairs.device)
    for some in envelopes.segments():
        total += per_clip(compare(some.ref, some.est).sum((0, 2)), some.owner, len(pairs))
    return [
        Score(value / (terms * count)) if count else undefined(TOO_FEW)
        for value, count in zip(total.tolist(), envelopes.counts, strict=True)
    ]


def _clipped(ref: Tensor, est: Tensor) -> Tensor:
    scale = ref.norm(dim=-1, keepdim=True) / (est.norm(dim=-1, keepdim=True) + EPS)
    return _standard(torch.minimum(est * scale, ref * CLIP), -1).mul_(_standard(ref, -1))


def _stoi(pairs: Pairs) -> list[Score]:
    return _means(pairs, _clipped, BANDS)


@metric()
def stoi(pairs: Pairs) -> list[Score]:
    """STOI, at most 1, higher is better (Taal et al. 2011, doi.org/10.1109/TASL.2011.2114881); NaN below 30 active frames."""
    return _stoi(pairs)


@metric()
def estoi(pairs: Pairs) -> list[Score]:
    """Extended STOI, at most 1, higher is better (Jensen and Taal 2016, doi.org/10.1109/TASLP.2016.2585878)."""
    return _means(pairs, lambda ref, est: _standard(_standard(ref, -1), 0).mul_(_standard(_standard(est, -1), 0)), SEGMENT)


@metric(0.1, loud_estimate=True)
def stoi_aligned(pairs: Pairs) -> Sequence[Score]:
    """STOI of the overlap after moving est by delay_ms, to the nearest sample."""
    return moved(pairs, [found and round(found.samples) for found in lags(pairs)], _stoi)
