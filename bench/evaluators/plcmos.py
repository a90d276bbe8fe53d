"""PLCMOS v2 (Diener et al. 2023, arxiv.org/abs/2305.15127, MIT): how packet loss and its concealment sound, speech, no reference, 16 kHz.

Only the network in the package speechmos is read. It takes a rater's embedding along with the clip and is asked with 15 random ones, whose
mean is the score. The package draws them anew for each clip, so its score is another on every call; here all clips meet the same 15.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from torch import Tensor

from bench.evaluators import onnx_models
from bench.evaluators.package_files import PackageFile
from bench.evaluators.packages import SPEECHMOS
from bench.evaluators.sounds import Answer, Ask, Sound

FFT, HOP = 512, 256
RATERS, WIDTH, SEED = 15, 64, 0
FLOOR = -120.0  # dB below the faintest other value: for bins of exactly nothing
FILE = PackageFile(
    SPEECHMOS,
    "speechmos",
    "0.0.1.1",
    "speechmos/plcmos_models/plcmos_v2.onnx",
    "c0ad3fc64ef9682b4749c0e96636b41c73b4b30bd123b9348feea06a96895286",
)


@cache
def raters() -> np.ndarray:
    """[15, 64] as numpy's old generator draws them after seed 0, which the package would use."""
    return np.random.RandomState(SEED).normal(size=(RATERS, WIDTH)).astype(np.float32)


def log_powers(wav: Tensor) -> np.ndarray:
    """wav [T] -> [F, 257]: natural log of the powers of frames that begin half before the clip, by 20."""
    samples = wav.double().numpy()
    count = math.ceil((len(samples) + FFT - HOP) / HOP)
    padded = np.pad(samples, (FFT - HOP, (count - 1) * HOP + HOP - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    powers = np.abs(np.fft.rfft(frames * np.hamming(FFT + 1)[:-1])) ** 2
    there = powers > 0
    faintest = math.log(powers[there].min()) + FLOOR / 10 * math.log(10)
    logs = np.full_like(powers, faintest)
    np.log(powers, out=logs, where=there)
    return (logs / 20).astype(np.float32)


def score(wav: Tensor) -> float:
    """The mean over the raters."""
    network, features = onnx_models.session(FILE.locate()), log_powers(wav)[None, None]
    found = [np.asarray(network.run(None, {"degraded_audio": features, "rater_embed": rater[None]})[0]) for rater in raters()]
    return float(np.mean(np.stack(found)))


def ask(sounds: Sequence[Sound]) -> list[Answer]:
    """The score of each."""
    return [(score(sound.est),) for sound in sounds]


def load(device: str) -> Ask:
    """Works on the CPU, whatever the device; UserError where the package or onnxruntime is missing."""
    onnx_models.session(FILE.locate())
    return ask
