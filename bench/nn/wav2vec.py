"""The convolutions of wav2vec and vq-wav2vec over a waveform (Schneider et al. 2019, arxiv.org/abs/1904.05862): 100 vectors a second.

wav [B, 1, T] at 16 kHz -> [B, C, F]. Each layer is a convolution without padding, a norm over all channels and all frames of the clip,
and an activation. Frame f hears samples 160 f .. 160 f + 464, so T >= 465 gives F = (T - 465) // 160 + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import CausalConv1d
from bench.nn.hubert import gelu_
from bench.nn.onednn import for_onednn

KERNELS, STRIDES = (10, 8, 4, 4, 4, 1, 1, 1), (5, 4, 2, 2, 2, 1, 1, 1)
HOP, WINDOW = 160, 465  # samples between frames, samples that a frame hears
PIECE = 512  # frames that a CPU norms at once: they stay in its caches
Activation = Literal["relu", "gelu"]


@dataclass(frozen=True)
class Wav2vecShape:
    """The network as data. What no tensor of a checkpoint shows its training options do."""

    channels: int = 512
    activation: Activation = "gelu"
    logarithm: bool = False  # what leaves the last layer is compressed: log(1 + |x|)
    skips: bool = False  # a layer with as many channels as its input has that added, a frame of it for each of its own
    skip_scale: float = 0.5  # the square of what the sum is multiplied by


class GroupNorm(nn.GroupNorm):
    """As torch's, without a second copy of what it norms, followed by the activation. [B, C, T] may be overwritten."""

    def forward(self, input: Tensor, activation: Activation | None = None) -> Tensor:
        if not for_onednn(input):
            x = super().forward(input)
            return x if activation is None else F.relu(x) if activation == "relu" else F.gelu(x)
        rows = input.transpose(1, 2).unflatten(-1, (self.num_groups, -1))  # by frames, as the convolutions store it
        variance, mean = torch.var_mean(rows, (1, 3), correction=0, keepdim=True)
        scale = self.weight.view(self.num_groups, -1) * (variance + self.eps).rsqrt()
        shift = self.bias.view(self.num_groups, -1) - mean * scale
        for piece in rows.split(PIECE, dim=1):
            piece.mul_(scale).add_(shift)
            if activation is not None:
                (torch.relu_ if activation == "relu" else gelu_)(piece)
        return input


class Wav2vec(nn.Module):
    """wav [B, 1, T], T >= 465 -> [B, C, F]."""

    def __init__(self, shape: Wav2vecShape):
        super().__init__()
        self.shape = shape
        inputs = (1,) + (shape.channels,) * (len(KERNELS) - 1)
        self.layers = nn.ModuleList(
            CausalConv1d(i, shape.channels, kernel, stride, bias=False) for i, kernel, stride in zip(inputs, KERNELS, STRIDES, strict=True)
        )
        self.norms = nn.ModuleList(GroupNorm(1, shape.channels) for _ in KERNELS)

    def forward(self, wav: Tensor) -> Tensor:
        x = wav
        for layer, norm in zip(self.layers, self.norms, strict=True):
            assert isinstance(layer, CausalConv1d)
            before, x = x, norm(layer.valid(x), self.shape.activation)
            if self.shape.skips and before.shape[1] == x.shape[1]:
                step = before.shape[-1] // x.shape[-1]
                x = (x + before[..., ::step][..., : x.shape[-1]]) * self.shape.skip_scale**0.5
        return x.abs().log1p() if self.shape.logarithm else x
