"""The signal metrics by public packages, called as their manuals say, one clip at a time: what ours are timed and checked against.

Each function takes ref [T] and est [T], float32, at the metric's rate, and gives the values of one or more columns. Where a package
defines a column otherwise than we do, as the pitch trackers do, `within` is None: both are timed, and only the difference is printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Protocol

import numpy as np
import pesq
import pystoi
import pytest
import scipy.fft
import scipy.signal
import torch
import torchmetrics.functional.audio as torchmetrics
from torch import Tensor

from bench.metrics.spectral import DAC_MELS
from tests.conftest import import_pyworld

auraloss: ModuleType = pytest.importorskip("auraloss", reason="auraloss is not here: pip install 'audio-tokenizer-bench[perf]'")
librosa: ModuleType = pytest.importorskip("librosa", reason="librosa is not here: pip install 'audio-tokenizer-bench[perf]'")
pyworld = import_pyworld()
Values = dict[str, float]


def pesq_wb(ref: Tensor, est: Tensor, rate: int) -> Values:
    return {"pesq_wb": pesq.pesq(rate, ref.numpy(), est.numpy(), "wb")}


def pesq_nb(ref: Tensor, est: Tensor, rate: int) -> Values:
    return {"pesq_nb": pesq.pesq(rate, ref.numpy(), est.numpy(), "nb")}


def stoi(ref: Tensor, est: Tensor, rate: int) -> Values:
    return {"stoi": float(pystoi.stoi(ref.numpy(), est.numpy(), rate))}


def estoi(ref: Tensor, est: Tensor, rate: int) -> Values:
    return {"estoi": float(pystoi.stoi(ref.numpy(), est.numpy(), rate, extended=True))}


def aligned(ref: Tensor, est: Tensor, rate: int) -> Values:
    """The lag of greatest waveform correlation within 0.2 s, and the two columns that undo it."""
    correlation = np.abs(scipy.signal.correlate(est.numpy(), ref.numpy(), method="fft"))
    middle, reach = len(ref) - 1, round(0.2 * rate)
    lag = int(correlation[middle - reach : middle + reach + 1].argmax()) - reach
    a, b = ref[max(0, -lag) : len(ref) - max(0, lag)], est[max(0, lag) : len(est) - max(0, -lag)]
    return {
        "delay_ms": 1000 * lag / rate,
        "stoi_aligned": float(pystoi.stoi(a.numpy(), b.numpy(), rate)),
        "si_sdr_aligned": si_sdr(a, b, rate)["si_sdr"],
    }


def si_sdr(ref: Tensor, est: Tensor, rate: int) -> Values:
    return {"si_sdr": torchmetrics.scale_invariant_signal_distortion_ratio(est, ref, zero_mean=True).item()}


def snr(ref: Tensor, est: Tensor, rate: int) -> Values:
    return {"snr": torchmetrics.signal_noise_ratio(est, ref).item()}


def gain(ref: Tensor, est: Tensor, rate: int) -> Values:
    return {"gain_db": 20 * math.log10(est.numpy().std() / ref.numpy().std())}


class StftLoss(Protocol):
    """What is called of auraloss's class."""

    fb: Tensor  # [1, mels, bins]

    def stft(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T] -> magnitudes and phases [B, bins, frames]."""
        ...

    def __call__(self, input: Tensor, target: Tensor) -> Tensor: ...


@lru_cache
def _stft_loss(window: int, rate: int = 0, mels: int = 0) -> StftLoss:
    mel = {"scale": "mel", "n_bins": mels, "sample_rate": rate} if mels else {}
    return auraloss.freq.STFTLoss(window, window // 4, window, w_sc=0.0, w_log_mag=2 / math.log(10), w_lin_mag=1.0, eps=1e-10, **mel)


def _log_mel(ref: Tensor, est: Tensor, window: int, rate: int, mels: int) -> float:
    """auraloss's mels, held above the floor: its own loss is NaN where a filter has no bin, and has its floor before the filters."""
    loss = _stft_loss(window, rate, mels)
    a, b = ((loss.fb @ loss.stft(wav[None])[0]).clamp_min(1e-5).log() for wav in (ref, est))
    return torch.nn.functional.l1_loss(a, b).item()


def mel_dac(ref: Tensor, est: Tensor, rate: int) -> Values:
    return {"mel_dac": sum(_log_mel(ref, est, window, rate, mels) for window, mels in DAC_MELS.items()) / math.log(10)}


def mel_l1(ref: Tensor, est: Tensor, rate: int) -> Values:
    return {"mel_l1": _log_mel(ref, est, 1024, rate, 80)}


def stft_dac(ref: Tensor, est: Tensor, rate: int) -> Values:
    return {"stft_dac": sum(_stft_loss(window)(est[None, None], ref[None, None]).item() for window in (2048, 512))}


def lsd(ref: Tensor, est: Tensor, rate: int) -> Values:
    levels = [np.log10(np.maximum(np.abs(librosa.stft(x.numpy(), n_fft=2048, pad_mode="reflect")), 1e-5)) for x in (ref, est)]
    return {"lsd": float(20 * np.sqrt(((levels[0] - levels[1]) ** 2).mean(0)).mean())}


def mfcc_l2(ref: Tensor, est: Tensor, rate: int) -> Values:
    spectra = [np.abs(librosa.stft(x.numpy(), n_fft=512, hop_length=128, pad_mode="reflect")) for x in (ref, est)]
    logs = [np.log(np.maximum(librosa.feature.melspectrogram(S=s, sr=rate, n_mels=40), 1e-5)) for s in spectra]
    cepstra = [np.asarray(scipy.fft.dct(log, axis=0))[1:25] / 40 for log in logs]
    level = (spectra[0] ** 2).sum(0)
    distances = 10 / math.log(10) * np.sqrt(2 * ((cepstra[0] - cepstra[1]) ** 2).sum(0))
    return {"mfcc_l2": float(distances[level > level.max() / 1e4].mean())}


def pitch(ref: Tensor, est: Tensor, rate: int) -> Values:
    """WORLD's faster tracker, DIO, refined by StoneMask."""
    tracks: list[np.ndarray] = []
    for wav in (ref, est):
        samples = wav.double().numpy()
        coarse, times = pyworld.dio(samples, rate, f0_floor=60, f0_ceil=500, frame_period=10)
        tracks.append(pyworld.stonemask(samples, coarse, times, rate))
    both = (tracks[0] > 0) & (tracks[1] > 0)
    a, b = (track[both] for track in tracks)
    voiced = sum(int((track > 0).sum()) for track in tracks)
    return {
        "f0_rmse": float(np.sqrt(((a - b) ** 2).mean())),
        "f0_corr": float(np.corrcoef(a, b)[0, 1]),
        "vuv_f1": 2 * int(both.sum()) / voiced,
    }


@dataclass(frozen=True)
class Rival:
    """A public package that gives the columns; `within`: the difference that is allowed, None where it defines them otherwise."""

    package: str
    rate: int
    columns: Mapping[str, float | None]
    call: Callable[[Tensor, Tensor, int], Values]


RIVALS = (
    Rival("pesq", 16_000, {"pesq_wb": 0.0}, pesq_wb),
    Rival("pesq", 8_000, {"pesq_nb": 0.0}, pesq_nb),
    Rival("pystoi", 16_000, {"stoi": 1e-4}, stoi),
    Rival("pystoi", 16_000, {"estoi": 1e-4}, estoi),
    Rival("scipy, pystoi, torchmetrics", 16_000, {"delay_ms": 1e-6, "stoi_aligned": 1e-4, "si_sdr_aligned": 1e-2}, aligned),
    Rival("auraloss", 24_000, {"mel_dac": 1e-3}, mel_dac),
    Rival("auraloss", 24_000, {"mel_l1": 1e-3}, mel_l1),
    Rival("auraloss", 24_000, {"stft_dac": 1e-3}, stft_dac),
    Rival("librosa", 24_000, {"lsd": 1e-3}, lsd),
    Rival("librosa, scipy", 16_000, {"mfcc_l2": 1e-3}, mfcc_l2),
    Rival("pyworld (DIO, StoneMask)", 16_000, {"f0_rmse": None, "f0_corr": None, "vuv_f1": None}, pitch),
    Rival("torchmetrics", 16_000, {"si_sdr": 1e-2}, si_sdr),
    Rival("torchmetrics", 16_000, {"snr": 1e-2}, snr),
    Rival("numpy", 16_000, {"gain_db": 1e-3}, gain),
)
