"""The delay of est behind ref, found from 5 ms log-band envelopes, because waveforms mislead: a vocoder keeps the envelope, not the phase.

Positive: est comes later. Where the waveforms are coherent near the envelopes' lag, the lag is refined to one sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api import Score
from bench.metrics.mel import mel_filters, power_spectra
from bench.metrics.pair import once_per_pair, undefined, unfit

STEP = 0.005  # s between envelope values
REACH = 0.2  # s: the longest delay looked for, either way
RANGE = 1e-3  # power: envelopes stop 30 dB below their loudest value; what lies deeper is the codec's own noise
BANDS = 24
COHERENT = 0.7  # |correlation| from which the waveforms know the lag better than the envelopes (SI-SDR about 0 dB)
SHORTEST = 0.1  # s


@dataclass(frozen=True)
class Lag:
    """How far est lags ref, in samples."""

    envelope: float  # by the envelopes, to a fraction of a step
    waveform: int  # greatest |correlation| within a step and a half of it
    coherence: float  # that |correlation|, 0..1

    @property
    def samples(self) -> float:
        """The estimate: the waveforms' where they are coherent, else the envelopes'."""
        return self.waveform if self.coherence >= COHERENT else self.envelope


@dataclass(frozen=True)
class Pair:
    """Two signals [T] of one length."""

    ref: Tensor
    est: Tensor


def shifted(ref: Tensor, est: Tensor, samples: int) -> Pair:
    """The part both have once est is moved `samples` earlier; the very tensors given where that is 0."""
    if samples > 0:
        return Pair(ref[:-samples], est[samples:])
    return Pair(ref[-samples:], est[:samples]) if samples < 0 else Pair(ref, est)


def _envelopes(wav: Tensor, sample_rate: int) -> Tensor:
    """Natural log of mel-band power [BANDS, frames] every 5 ms, each band with mean 0."""
    hop = round(STEP * sample_rate)
    window = 1 << (4 * hop - 1).bit_length()  # a power of two from 20 to 40 ms
    padded = F.pad(wav, (window // 2, window // 2))
    power = power_spectra(padded.unfold(0, window, hop) * torch.hann_window(window, device=wav.device))
    bands = power @ mel_filters(sample_rate, window, BANDS, 100.0, min(8000.0, sample_rate / 2)).to(wav.device).square()
    logs = (bands + RANGE * bands.amax()).log().T
    return logs - logs.mean(-1, keepdim=True)


def _correlation(ref: Tensor, est: Tensor, reach: int) -> Tensor:
    """Sum over n (and rows) of ref[n] est[n + lag] [2 reach + 1], for lag -reach..reach, over the norms of both."""
    size = 1 << (ref.shape[-1] + 2 * reach).bit_length()
    product = torch.fft.rfft(ref, size).conj() * torch.fft.rfft(F.pad(est, (reach, 0)), size)
    total = torch.fft.irfft(product.reshape(-1, product.shape[-1]).sum(0), size)[: 2 * reach + 1]
    return total / (ref.norm() * est.norm()).clamp_min(1e-20)


def _near(ref: Tensor, est: Tensor, center: int, reach: int) -> Tensor:
    """Correlation coefficients [2 reach + 1] of the waveforms for lags center - reach .. center + reach, block by block."""
    size = 1 << (8 * reach).bit_length()
    block = size - 2 * reach
    blocks = -(-len(ref) // block)
    norms = (ref.norm() * est.norm()).clamp_min(1e-20)
    ref = F.pad(ref, (0, blocks * block - len(ref)))
    left = reach - center
    est = F.pad(est, (left, blocks * block + 2 * reach - len(est) - left))
    cross = torch.zeros(size // 2 + 1, dtype=torch.complex64, device=ref.device)
    for start in range(0, blocks, 64):  # a few MB at a time, however long the clip
        rows = slice(start, start + 64)
        moving = torch.fft.rfft(est.unfold(0, size, block)[rows])
        cross += (torch.fft.rfft(ref.view(blocks, block)[rows], size).conj() * moving).sum(0)
    return torch.fft.irfft(cross, size)[: 2 * reach + 1] / norms


@once_per_pair
def lag(ref: Tensor, est: Tensor, sample_rate: int) -> Lag | None:
    """How far est lags ref [T], within 0.2 s; None where an envelope never moves, so that no lag is better than another."""
    hop = round(STEP * sample_rate)
    a, b = _envelopes(ref, sample_rate), _envelopes(est, sample_rate)
    if not (a.norm() > 1e-3 and b.norm() > 1e-3):  # or NaN: nothing in any band
        return None
    reach = min(round(REACH / STEP), a.shape[-1] // 2)
    score = _correlation(a, b, reach)
    best = int(score.argmax())
    fraction = 0.0
    if 0 < best < len(score) - 1:  # the top of the parabola through three points
        left, top, right = score[best - 1 : best + 2].double().tolist()
        fraction = 0.5 * (left - right) / (left - 2 * top + right) if left - 2 * top + right < 0 else 0.0
    envelope = (best - reach + fraction) * hop
    around = 3 * hop // 2
    near = _near(ref, est, round(envelope), around).abs()
    peak = int(near.argmax())
    return Lag(envelope, round(envelope) + peak - around, near[peak].item())


def delay_ms(ref: Tensor, est: Tensor, sample_rate: int) -> Score:
    """Milliseconds by which est lags ref (negative: leads), -200..200."""
    if note := unfit(ref, est, sample_rate, SHORTEST, loud_estimate=True):
        return undefined(note)
    found = lag(ref, est, sample_rate)
    return undefined("no delay can be estimated") if found is None else Score(1000 * found.samples / sample_rate)
