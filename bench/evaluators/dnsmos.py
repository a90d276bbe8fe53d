"""DNSMOS P.835 and P.808 (Reddy et al. 2021 and 2022, arxiv.org/abs/2010.15258, 2110.01763, MIT): speech MOS without a reference, 16 kHz.

Only the two networks in the package speechmos are read. A clip is heard in windows of 9.01 s one second apart, a shorter one repeated until
it fills one; its scores are the means over the windows. P.835 rates the signal, the background and the whole from raw samples, through
published polynomials; P.808 the whole from 120 mel powers in dB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.polynomial import Polynomial
from torch import Tensor
from torch.nn import functional as F

from bench.evaluators import onnx_models
from bench.evaluators.package_files import PackageFile
from bench.evaluators.packages import SPEECHMOS
from bench.evaluators.sounds import Answer, Ask, Sound
from bench.metrics.mel import mel_filters, power_spectra

RATE = 16_000
SECONDS = 9.01
SAMPLES = int(SECONDS * RATE)
FFT, HOP, MELS, FLOOR, RANGE = 321, 160, 120, 1e-10, 80.0
P835 = PackageFile(
    SPEECHMOS,
    "speechmos",
    "0.0.1.1",
    "speechmos/dnsmos_models/sig_bak_ovr.onnx",
    "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
)
P808 = PackageFile(
    SPEECHMOS,
    "speechmos",
    "0.0.1.1",
    "speechmos/dnsmos_models/model_v8.onnx",
    "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91",
)
SCALES = (  # what the network says of signal, background and whole -> MOS
    Polynomial([0.0052439, 1.22083953, -0.08397278]),
    Polynomial([-0.39604546, 1.60915514, -0.13166888]),
    Polynomial([0.04602535, 1.11546468, -0.06766283]),
)


def windows_of(wav: Tensor) -> list[Tensor]:
    """wav [T] -> pieces [144160]."""
    while len(wav) < SAMPLES:
        wav = torch.cat([wav, wav])
    count = int(math.floor(len(wav) / RATE) - SECONDS) + 1
    ends = [int((i + SECONDS) * RATE) for i in range(count)]  # by a sample too early where the product is rounded down: left out, too
    return [wav[i * RATE : end] for i, end in enumerate(ends) if end - i * RATE >= SAMPLES and end <= len(wav)]


def mel_decibels(wav: Tensor) -> Tensor:
    """wav [T] -> [1 + T // 160, 120]: dB below the loudest, at most 80, +40, by 40."""
    frames = F.pad(wav, (FFT // 2, FFT // 2)).unfold(0, FFT, HOP) * torch.hann_window(FFT)
    powers = power_spectra(frames) @ mel_filters(RATE, FFT, MELS)
    decibels = 10 * (powers.clamp(min=FLOOR).log10() - powers.max().clamp(min=FLOOR).log10())
    return (decibels.clamp(min=-RANGE) + 40) / 40


def scores(wav: Tensor) -> tuple[float, ...]:
    """Signal, background, whole, and the whole by P.808."""
    p835, p808 = onnx_models.session(P835.locate()), onnx_models.session(P808.locate())
    found = []
    for window in windows_of(wav):
        raw = np.asarray(p835.run(None, {"input_1": window[None].numpy()})[0])[0]
        whole = np.asarray(p808.run(None, {"input_1": mel_decibels(window[:-HOP])[None].numpy()})[0])[0, 0]
        found.append([*(scale(value) for scale, value in zip(SCALES, raw, strict=True)), whole])
    return tuple(float(value) for value in np.mean(found, 0))


def ask(sounds: Sequence[Sound]) -> list[Answer]:
    """The scores of each."""
    return [scores(sound.est) for sound in sounds]


def load(device: str) -> Ask:
    """Works on the CPU, whatever the device; UserError where the package or onnxruntime is missing."""
    for file in (P835, P808):
        onnx_models.session(file.locate())
    return ask
