"""A resampler inside a model, whose weights were trained behind it: a windowed sinc, as torchaudio.functional.resample has it by default.

wav [B, 1, T] -> [B, 1, ceil(T * target / source)]. Audio that only changes its rate goes through `bench.data.audio.resample`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ZEROS = 6  # crossings of the sinc on either side, where a Hann window ends it
ROLLOFF = 0.99  # of the lower band that is kept


class SincResample(nn.Module):
    """wav [B, 1, T] at `source` Hz -> [B, 1, ceil(T * target / source)] at `target` Hz."""

    kernel: Tensor

    def __init__(self, source: int, target: int):
        super().__init__()
        whole = math.gcd(source, target)
        self.source, self.target = source // whole, target // whole
        cutoff = ROLLOFF * min(self.source, self.target)
        self.margin = math.ceil(ZEROS * self.source / cutoff)
        phases = torch.arange(self.target)[:, None] / self.target
        taps = torch.arange(-self.margin, self.margin + self.source) / self.source
        time = (cutoff * (taps - phases)).clamp(-ZEROS, ZEROS)
        kernel = torch.sinc(time) * torch.cos(time * math.pi / ZEROS / 2).square() * cutoff / self.source
        self.register_buffer("kernel", kernel[:, None], persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        padded = F.pad(wav, (self.margin, self.margin + self.source))
        phases = F.conv1d(padded, self.kernel, stride=self.source)  # [B, target, n]
        return phases.transpose(1, 2).flatten(1)[:, None, : math.ceil(wav.shape[-1] * self.target / self.source)]
