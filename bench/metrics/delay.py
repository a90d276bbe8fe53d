"""The delay of est behind ref, found from 5 ms log-band envelopes, because waveforms mislead: a vocoder keeps the envelope, not the phase.

Positive: est comes later. Where the waveforms are coherent near the envelopes' lag, the lag is refined to one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from bench.api import Score
from bench.metrics.frames import Frames, framed, highest
from bench.metrics.mel import mel_filters, power_spectra
from bench.metrics.pair import Pairs, Sides, metric, shared, undefined

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


def shifted(ref: Tensor, est: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """The part [..., T'] that both [..., T] have once est is moved `samples` earlier."""
    if samples > 0:
        return ref[..., :-samples], est[..., samples:]
    return (ref[..., -samples:], est[..., :samples]) if samples < 0 else (ref, est)


def moved(pairs: Pairs, samples: Sequence[int | None], kernel: Callable[[Pairs], Sequence[Score]]) -> list[Score]:
    """What the kernel gives for the overlap of each pair after moving est so much earlier; None: no score."""
    known = [(i, n) for i, n in enumerate(samples) if n is not None]
    fit = pairs.some([i for i, _ in known])
    if any(n for _, n in known):  # else the very pairs, of which much is known already
        fit = Pairs([shifted(*pair, n) for pair, (_, n) in zip(fit.each, known, strict=True)], pairs.sample_rate)
    found = dict(zip((i for i, _ in known), kernel(fit), strict=True)) if known else {}
    return [found.get(i, undefined("no delay can be estimated")) for i in range(len(pairs))]


@dataclass(frozen=True)
class Envelopes:
    """Natural log of mel-band power every 5 ms, each band with mean 0."""

    sides: Sides  # [clips, BANDS, frames], zeros after the end of each clip
    counts: tuple[int, ...]  # frames of each clip


def _envelopes(pairs: Pairs) -> Envelopes:
    hop = round(STEP * pairs.sample_rate)
    window = 1 << (4 * hop - 1).bit_length()  # a power of two from 20 to 40 ms
    frames = framed(pairs, window, hop, lambda wav: F.pad(wav, (window // 2, window // 2)))
    filters = mel_filters(pairs.sample_rate, window, BANDS, 100.0, min(8000.0, pairs.sample_rate / 2)).to(pairs.device).square()
    shape = torch.hann_window(window, device=pairs.device)
    pieces = [[power_spectra(side * shape) @ filters for side in (some.ref, some.est)] for some in frames.pieces()]
    return Envelopes(Sides(*(_logs(torch.cat(bands), frames) for bands in zip(*pieces, strict=True))), frames.counts)


def _logs(bands: Tensor, frames: Frames) -> Tensor:
    loudest = highest(bands.amax(-1), frames.owner, len(frames.counts))[frames.owner]
    logs = (bands + RANGE * loudest[:, None]).log()
    return pad_sequence([clip - clip.mean(0) for clip in frames.clips(logs)], batch_first=True).transpose(1, 2)


def _correlation(ref: Tensor, est: Tensor, reach: int) -> Tensor:
    """Sum over n and rows of ref[n] est[n + lag] [B, rows, n] -> [B, 2 reach + 1], for lag -reach..reach, over the norms of both."""
    size = 1 << (ref.shape[-1] + 2 * reach).bit_length()
    product = torch.fft.rfft(ref, size).conj() * torch.fft.rfft(F.pad(est, (reach, 0)), size)
    total = torch.fft.irfft(product.sum(1), size)[:, : 2 * reach + 1]
    return total / (ref.flatten(1).norm(dim=-1) * est.flatten(1).norm(dim=-1)).clamp_min(1e-20)[:, None]


def _near(pairs: Pairs, centers: Sequence[int], reach: int) -> Tensor:
    """Correlation coefficients [B, 2 reach + 1] of the waveforms for lags center - reach .. center + reach, block by block."""
    size = 1 << (8 * reach).bit_length()
    block = size - 2 * reach
    blocks = [-(-len(ref) // block) for ref in pairs.refs]
    refs, ests = [], []
    for (ref, est), count, center in zip(pairs.each, blocks, centers, strict=True):
        left = reach - center
        refs.append(F.pad(ref, (0, count * block - len(ref))).view(count, block))
        ests.append(F.pad(est, (left, count * block + 2 * reach - len(est) - left)).unfold(0, size, block))
    owner = torch.arange(len(pairs)).repeat_interleave(torch.tensor(blocks)).to(pairs.device)
    cross = torch.zeros(len(pairs), size // 2 + 1, dtype=torch.complex64, device=pairs.device)
    ref, est = (side[0] if len(side) == 1 else torch.cat(side) for side in (refs, ests))
    whole = Frames(ref, est, owner, tuple(blocks), ())
    for some in whole.pieces():
        cross.index_add_(0, some.owner, torch.fft.rfft(some.ref, size).conj_physical_() * torch.fft.rfft(some.est))
    norms = pairs.padded.ref.norm(dim=-1) * pairs.padded.est.norm(dim=-1)
    return torch.fft.irfft(cross, size)[:, : 2 * reach + 1] / norms.clamp_min(1e-20)[:, None]


@dataclass(frozen=True)
class _Top:
    """The best of a row of correlations at lags of one step, counted from its first."""

    place: int
    fraction: float  # of a step, by which the top of the parabola through three points lies off


def _top(row: Sequence[float]) -> _Top:
    best = max(range(len(row)), key=row.__getitem__)
    if not 0 < best < len(row) - 1:
        return _Top(best, 0.0)
    left, top, right = row[best - 1 : best + 2]
    bend = left - 2 * top + right
    return _Top(best, 0.5 * (left - right) / bend if bend < 0 else 0.0)


@shared
def lags(pairs: Pairs) -> list[Lag | None]:
    """How far each est lags its ref, within 0.2 s; None where an envelope never moves, so that no lag is better than another."""
    hop = round(STEP * pairs.sample_rate)
    envelopes = _envelopes(pairs)
    a, b = envelopes.sides.ref, envelopes.sides.est
    widest = min(round(REACH / STEP), a.shape[-1] // 2)
    moves = torch.stack([a.flatten(1).norm(dim=-1), b.flatten(1).norm(dim=-1)]).amin(0).tolist()
    found: dict[int, float] = {}
    for clip, (row, least, frames) in enumerate(zip(_correlation(a, b, widest).tolist(), moves, envelopes.counts, strict=True)):
        if least > 1e-3:  # else, or NaN: nothing in any band
            reach = min(widest, frames // 2)
            top = _top(row[widest - reach : widest + reach + 1])
            found[clip] = (top.place - reach + top.fraction) * hop
    around = 3 * hop // 2
    results: list[Lag | None] = [None] * len(pairs)
    if found:
        near = _near(pairs.some(list(found)), [round(envelope) for envelope in found.values()], around).abs()
        tops = zip(near.argmax(-1).tolist(), near.amax(-1).tolist(), strict=True)
        for (clip, envelope), (place, height) in zip(found.items(), tops, strict=True):
            results[clip] = Lag(envelope, round(envelope) + place - around, height)
    return results


@metric(SHORTEST, loud_estimate=True)
def delay_ms(pairs: Pairs) -> list[Score]:
    """Milliseconds by which est lags ref (negative: leads), -200..200."""
    return [
        undefined("no delay can be estimated") if found is None else Score(1000 * found.samples / pairs.sample_rate)
        for found in lags(pairs)
    ]
