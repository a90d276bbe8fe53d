"""The voice encoder that the package resemblyzer carries (Apache-2.0): an LSTM trained by GE2E (Wan et al. 2018, arxiv.org/abs/1710.10467).

Only the package's file of weights is read; its code, and librosa, numba and webrtcvad with it, is never imported. What that code does
is done here: volume raised to -30 dBFS where it is lower, 40 mel powers of 25 ms frames (no logarithm), windows of 1.6 s about 0.77 s
apart, the mean of their unit vectors. Its cutting of pauses is left out: the detector would cut original and reconstruction at
different places, and be a second judge whose opinion nobody asked.
"""

from __future__ import annotations

import math
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import UserError
from bench.evaluators.packages import RESEMBLYZER
from bench.metrics.mel import mel_filters, power_spectra
from bench.weights.download import sha256_of
from bench.weights.files import fill

SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"  # of the package's pretrained.pt, version 0.1.4
PACKAGE, FILE = "resemblyzer", "resemblyzer/pretrained.pt"
RATE, WINDOW, HOP, MELS, WIDTH = 16_000, 400, 160, 40, 256
PARTIAL = 160  # frames of a window: 1.6 s
STEP = round(RATE / 1.3 / HOP)  # frames from window to window: 1.3 of them a second
COVERED = 0.75  # a last window that lies less than this far inside the clip is left out, unless it is the only one
LOUDNESS = -30.0  # dBFS: what is lower is raised to it, what is higher stays


class DVector(nn.Module):
    """wav [T] at 16 kHz -> unit vector [256], all of it >= 0."""

    filters: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, WIDTH, num_layers=3, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("filters", mel_filters(RATE, WINDOW, MELS), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    @torch.inference_mode()
    def forward(self, wav: Tensor) -> Tensor:
        starts = partials(len(wav))
        wav = F.pad(raised(wav), (0, max(0, (starts[-1] + PARTIAL) * HOP - len(wav))))
        mels = self.mels(wav)
        _, (hidden, _) = self.lstm(torch.stack([mels[start : start + PARTIAL] for start in starts]))
        vectors = F.normalize(self.linear(hidden[-1]).relu(), dim=-1)
        return F.normalize(vectors.mean(0), dim=-1)

    def mels(self, wav: Tensor) -> Tensor:
        """wav [T] -> mel powers [1 + T // 160, 40] of centred frames, zeros beyond the ends."""
        frames = F.pad(wav, (WINDOW // 2, WINDOW // 2)).unfold(0, WINDOW, HOP)
        return power_spectra(frames * self.window) @ self.filters


def partials(samples: int) -> list[int]:
    """First frame of each window over a clip of so many samples; the last may reach beyond its end."""
    frames = math.ceil((samples + 1) / HOP)
    starts = list(range(0, max(1, frames - PARTIAL + STEP + 1), STEP))
    covered = (samples - starts[-1] * HOP) / (PARTIAL * HOP)
    return starts[:-1] if covered < COVERED and len(starts) > 1 else starts


def raised(wav: Tensor) -> Tensor:
    """The same wave, not quieter than LOUDNESS."""
    level = 10 ** (LOUDNESS / 20)
    return wav * (level / wav.square().mean().sqrt()).clamp(min=1)


def locate() -> Path:
    """The package's file of weights, proven by its sha256."""
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
    except metadata.PackageNotFoundError as error:
        raise UserError(RESEMBLYZER.missing) from error
    found = sha256_of(path)
    if found != SHA256:
        raise UserError(f"{path} has sha256 {found[:12]}..., not the pinned {SHA256[:12]}... of resemblyzer 0.1.4: {RESEMBLYZER.install}")
    return path


def load(device: str) -> DVector:
    """The encoder with the package's weights, on the device."""
    path = locate()
    state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    model = DVector()
    fill(model, {name: value for name, value in state.items() if not name.startswith("similarity_")}, path)  # those: of its training
    return model.to(device).eval().requires_grad_(False)
