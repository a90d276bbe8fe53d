"""mcd: mel-cepstral distortion as papers report it, over mel-cepstra of WORLD's envelope, with time warping.

25 coefficients of the all-pass frequency scale, c0 (the level) left out, every 5 ms, at 16 kHz; dynamic time warping over frames; all
frames count. The pitch that WORLD's envelope wants comes from this project's own tracker. Numbers depend on all of these: with
another tracker (Harvest) they differ by .2 dB on average, by several dB where a codec leaves half of the band empty.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bench.api import Score
from bench.metrics import world
from bench.metrics.pair import Pairs, metric
from bench.metrics.pitch import HOP, tracks

ORDER, ALPHA = 24, 0.42  # SPTK's at 16 kHz, the rate this metric is evaluated at
BAND = 100  # frames that the warping may lead or lag: half a second
DECIBEL = 10 * math.sqrt(2) / math.log(10)
SHORTEST = 0.1  # s


@metric(SHORTEST, on_cpu=True)
def mcd(pairs: Pairs) -> list[Score]:
    """Mel-cepstral distortion in dB (Kubichek 1993) of c1..c24, mean over the frames of the warping path; lower is better."""
    found = zip(pairs.each, tracks(pairs), strict=True)
    return [
        Score(DECIBEL * warped_mean(*(mel_cepstra(*side, pairs.sample_rate)[:, 1:] for side in ((ref, f0.ref), (est, f0.est)))))
        for (ref, est), f0 in found
    ]


def mel_cepstra(wav: Tensor, f0: np.ndarray, sample_rate: int) -> np.ndarray:
    """wav [T], its pitch every 10 ms [F], 0 where unvoiced -> [2 F - 1, 25], every 5 ms."""
    voiced = (f0[1:] > 0) & (f0[:-1] > 0)
    finer = np.zeros(2 * len(f0) - 1)
    finer[::2], finer[1::2] = f0, np.where(voiced, (f0[1:] + f0[:-1]) / 2, 0)
    times = torch.arange(len(finer), dtype=torch.float64) * (HOP / 2)
    return (world.cepstra(wav, torch.from_numpy(finer), times, sample_rate) @ _warping(world.size_of(sample_rate) // 2 + 1)).numpy()


@lru_cache(maxsize=4)
def _warping(count: int) -> Tensor:
    """[count, 25]: a cepstrum -> its mel-cepstrum, by SPTK's freqt (Oppenheim and Johnson 1972), c0 taken once and the others twice."""
    scale, warped = np.full(count, 2.0), np.zeros((count, ORDER + 1))
    scale[0] = 1.0
    units = np.diag(scale) / 2  # of amplitudes, of which a power is the square
    for column in units.T[::-1]:
        before = warped.copy()
        warped[:, 0] = column + ALPHA * before[:, 0]
        warped[:, 1] = (1 - ALPHA**2) * before[:, 0] + ALPHA * before[:, 1]
        for j in range(2, ORDER + 1):
            warped[:, j] = before[:, j - 1] + ALPHA * (before[:, j] - warped[:, j - 1])
    return torch.from_numpy(warped)


def warped_mean(a: np.ndarray, b: np.ndarray) -> float:
    """a, b [n, D] -> mean Euclidean distance over the path of least sum, whose steps are of one along either or both, within BAND."""
    band = min(BAND, len(a) - 1)
    cost = _distances(a, b, band)
    total = _least_sums(cost)
    found, i, k = [cost[-1, band]], len(a) - 1, band
    while i or k != band:
        ways = ((i - 1, k), (i - 1, k + 1), (i, k - 1))
        i, k = min((way for way in ways if way[0] >= 0 and 0 <= way[1] <= 2 * band), key=lambda way: total[way])
        found.append(cost[i, k])
    return float(np.mean(found))


def _distances(a: np.ndarray, b: np.ndarray, band: int) -> np.ndarray:
    """[n, 2 band + 1]: of a's frame i from b's frame i - band + k; NaN where b has no such frame."""
    n = len(a)
    cost = np.full((n, 2 * band + 1), np.nan)
    for k, lag in enumerate(range(-band, band + 1)):
        rows = np.arange(max(0, -lag), min(n, n - lag))
        cost[rows, k] = np.linalg.norm(a[rows] - b[rows + lag], axis=-1)
    return cost


def _least_sums(cost: np.ndarray) -> np.ndarray:
    """[n, K + 1]: the least sum of distances on a path from the first frames to each place, infinite where there is no place."""
    outside, cost = np.isnan(cost), np.nan_to_num(cost)
    sums = cost.cumsum(1)
    before = sums - cost
    total = np.full((len(cost), cost.shape[1] + 1), np.inf)
    entry = np.full(cost.shape[1], np.inf)
    entry[cost.shape[1] // 2] = 0.0
    for i in range(len(cost)):  # within a row, from any entry to the right: a sum of neighbours
        total[i, :-1] = np.where(outside[i], np.inf, sums[i] + np.minimum.accumulate(entry - before[i]))
        entry = np.minimum(total[i, :-1], total[i, 1:])
    return total
