"""The encoder of contrastive predictive coding on audio (Rivière et al. 2020, arxiv.org/abs/2002.02848): 100 feature vectors a second.

wav [B, 1, T] at 16 kHz -> five strided convolutions, each frame normed -> an LSTM, up to a layer and no further -> [B, F, D]. As in the
authors' code, a clip is heard in pieces of 4 s, each alone, and F is 400 a piece; n samples of the last one give (n + 1) // 160 frames.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import CausalConv1d
from bench.nn.onednn import for_onednn

KERNELS, STRIDES, PADDINGS = (10, 8, 4, 4, 4), (5, 4, 2, 2, 2), (3, 2, 1, 1, 1)
HOP = 160  # samples between frames
LONGEST = 64_000  # samples of a piece
EPSILON = 1e-5
NAMES = ((r"^gEncoder\.conv(\d)\.", r"layers.\1."), (r"^gEncoder\.batchNorm(\d)\.", r"norms.\1."), (r"^gAR\.baseNet\.", "lstm."))


@dataclass(frozen=True)
class CpcShape:
    """An encoder as data. The defaults are those of the authors' code."""

    channels: int = 256  # of the convolutions
    dimension: int = 256  # of the LSTM

    def encoder(self, layers: int) -> Cpc:
        """A new one, with an LSTM of so many layers."""
        return Cpc(self, layers)

    def named(self, state: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
        """A published state dict under our names, without the layers above."""
        found: dict[str, Tensor] = {}
        for name, value in state.items():
            for theirs, ours in NAMES:
                name = re.sub(theirs, ours, name)
            above = re.fullmatch(r"lstm\.\w+_l(\d+)", name)
            if not above or int(above[1]) < layers:
                found[name] = value.flatten() if name.startswith("norms.") else value  # theirs are [1, C, 1]
        return found


class FrameNorm(nn.LayerNorm):
    """Each frame of [B, C, T] to mean 0 and variance 1 over its channels, as an estimate from a sample has it: divided by C - 1."""

    def forward(self, input: Tensor) -> Tensor:
        (size,) = self.normalized_shape
        left = (size - 1) / size  # (x - m) / sqrt(v / left + e) = sqrt(left) (x - m) / sqrt(v + left e)
        weight = self.weight * left**0.5
        return F.layer_norm(input.transpose(1, 2), self.normalized_shape, weight, self.bias, self.eps * left).transpose(1, 2)


class Cpc(nn.Module):
    """wav [B, 1, T], any T >= 1 -> [B, F, D]; T below 160 is filled up with zeros."""

    def __init__(self, shape: CpcShape, layers: int):
        super().__init__()
        inputs = (1,) + (shape.channels,) * (len(KERNELS) - 1)
        self.layers = nn.ModuleList(CausalConv1d(i, shape.channels, k, s) for i, k, s in zip(inputs, KERNELS, STRIDES, strict=True))
        self.norms = nn.ModuleList(FrameNorm(shape.channels, eps=EPSILON) for _ in KERNELS)
        self.lstm = nn.LSTM(shape.channels, shape.dimension, layers, batch_first=True)

    def forward(self, wav: Tensor) -> Tensor:
        wav = F.pad(wav, (0, max(0, HOP - wav.shape[-1])))
        whole = wav.shape[-1] // LONGEST
        parts = []
        if whole:  # all of a clip as items of one batch: the LSTM takes as many steps as a piece has frames
            pieces = wav[..., : whole * LONGEST].unflatten(-1, (whole, LONGEST)).transpose(1, 2).flatten(0, 1)
            parts.append(self.piece(pieces).unflatten(0, (len(wav), whole)).flatten(1, 2))
        if wav.shape[-1] - whole * LONGEST >= HOP - 1:
            parts.append(self.piece(wav[..., whole * LONGEST :]))
        return torch.cat(parts, dim=1)

    def piece(self, wav: Tensor) -> Tensor:
        """wav [B, 1, n] -> [B, (n + 1) // 160, D]."""
        x = wav
        for layer, norm, padding in zip(self.layers, self.norms, PADDINGS, strict=True):
            assert isinstance(layer, CausalConv1d)
            around = F.pad(x.transpose(1, 2), (0, 0, padding, padding)).transpose(1, 2)
            x = norm(layer.valid(around))
            x = x.relu_() if for_onednn(x) else x.relu()
        return self.lstm(x.transpose(1, 2).contiguous())[0]
