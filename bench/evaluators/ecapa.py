"""ECAPA-TDNN (Desplanques et al. 2020, arxiv.org/abs/2005.07143) as SpeechBrain trained it on VoxCeleb (Apache-2.0), at 16 kHz.

80 mel powers of 25 ms every 10 ms in dB, at most 80 below the loudest, less their mean over the clip; a convolution, three blocks of
dilated convolutions over eight scales with squeeze and excitation, attentive statistics, 192 numbers. Its weights are those of
speechbrain/spkrec-ecapa-voxceleb at a pinned revision.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint
from bench.metrics.mel import power_spectra
from bench.weights.download import locate
from bench.weights.files import fill, load_state

FILE = Checkpoint(
    "spkrec-ecapa-voxceleb/embedding_model.ckpt",
    "0575cb64845e6b9a10db9bcb74d5ac32b326b8dc90352671d345e2ee3d0126a2",
    "https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb/resolve/0f99f2d0ebe89ac095bcc5903c4dd8f72b367286/embedding_model.ckpt",
    "or ask another speaker model: the default, resemblyzer, needs no download",
)
RATE, FFT, HOP, MELS = 16_000, 400, 160, 80
FLOOR, RANGE = 1e-10, 80.0  # of powers; dB below the loudest
WIDTH, POOLED, SCALES, SQUEEZED, ATTENTION, OUTPUT = 1024, 3072, 8, 128, 128, 192


def filters() -> Tensor:
    """Triangles [201, 80] of height 1 from 0 to 8 kHz, on HTK's mels; each as wide on both sides as the gap below its centre."""
    ends = 2595 * torch.log10(torch.tensor(1 + RATE / 2 / 700))
    hz = 700 * (10 ** (torch.linspace(0, float(ends), MELS + 2) / 2595) - 1)
    band = (hz[1:] - hz[:-1])[:-1]
    slope = (torch.linspace(0, RATE // 2, FFT // 2 + 1)[:, None] - hz[1:-1]) / band
    return torch.minimum(slope + 1, 1 - slope).clamp(min=0)


def features(wav: Tensor) -> Tensor:
    """wav [T] -> [80, 1 + T // 160]."""
    frames = F.pad(wav, (FFT // 2, FFT // 2)).unfold(0, FFT, HOP) * torch.hamming_window(FFT, device=wav.device)
    decibels = 10 * (power_spectra(frames) @ filters().to(wav.device)).clamp(min=FLOOR).log10()
    decibels = decibels.clamp(min=float(decibels.max()) - RANGE)
    return (decibels - decibels.mean(0)).T


class Same(nn.Module):
    """A convolution over frames whose output is as long as its input, mirrored at the ends."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int):
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, dilation=dilation)
        self.around = dilation * (kernel - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (self.around, self.around), mode="reflect") if self.around else x)


class Norm(nn.Module):
    """Batch norm, a level deeper as the checkpoint names it."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


class Unit(nn.Module):
    """Convolution, ReLU, norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1):
        super().__init__()
        self.conv, self.norm = Same(inputs, outputs, kernel, dilation), Norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).relu())


class Scales(nn.Module):
    """Eighths of the channels: the first stays, each further one is convolved together with what the one before it gave."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.blocks = nn.ModuleList(Unit(width // SCALES, width // SCALES, 3, dilation) for _ in range(SCALES - 1))

    def forward(self, x: Tensor) -> Tensor:
        first, *others = x.chunk(SCALES, 1)
        found = [first]
        for i, (part, block) in enumerate(zip(others, self.blocks, strict=True)):
            found.append(block(part + found[-1] if i else part))
        return torch.cat(found, 1)


class Squeeze(nn.Module):
    """Each channel scaled by what the means of all say."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1, self.conv2 = Same(width, SQUEEZED, 1, 1), Same(SQUEEZED, width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv2(self.conv1(x.mean(2, keepdim=True)).relu()).sigmoid()


class Block(nn.Module):
    """Two units around the scales, squeeze, and the input added."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.tdnn1, self.tdnn2 = Unit(width, width), Unit(width, width)
        self.res2net_block, self.se_block = Scales(width, dilation), Squeeze(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.se_block(self.tdnn2(self.res2net_block(self.tdnn1(x))))


class Pooling(nn.Module):
    """[B, C, F] -> mean and deviation of each channel [B, 2 C], over frames weighted by attention."""

    def __init__(self, width: int):
        super().__init__()
        self.tdnn, self.conv = Unit(3 * width, ATTENTION), Same(ATTENTION, width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = torch.full_like(x, 1 / x.shape[-1])
        weights = self.conv(self.tdnn(torch.cat([x, *(s[:, :, None].expand_as(x) for s in _moments(x, means))], 1)).tanh()).softmax(2)
        return torch.cat(_moments(x, weights), 1)


def _moments(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    mean = (weights * x).sum(2)
    return mean, (weights * (x - mean[:, :, None]).square()).sum(2).clamp(min=1e-12).sqrt()


class Ecapa(nn.Module):
    """features [B, 80, F] -> [B, 192]. Names are the checkpoint's."""

    def __init__(self, width: int = WIDTH, pooled: int = POOLED):
        super().__init__()
        self.blocks = nn.ModuleList([Unit(MELS, width, 5), *(Block(width, dilation) for dilation in (2, 3, 4))])
        self.mfa, self.asp = Unit(3 * width, pooled), Pooling(pooled)
        self.asp_bn, self.fc = Norm(2 * pooled), Same(2 * pooled, OUTPUT, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        given = []
        for block in self.blocks:
            x = block(x)
            given.append(x)
        pooled = self.asp(self.mfa(torch.cat(given[1:], 1)))
        return self.fc(self.asp_bn(pooled)[:, :, None])[:, :, 0]


def load(device: str) -> Callable[[Tensor], Tensor]:
    """The encoder with SpeechBrain's weights, from the cache or fetched now."""
    return load_file(locate(FILE, "Apache-2.0"), Ecapa(), device)


def load_file(path: Path, model: Ecapa, device: str) -> Callable[[Tensor], Tensor]:
    """wav [T] at 16 kHz -> unit vector [192], with the weights of a file."""
    fill(model, load_state(path), path)
    model.to(device).eval().requires_grad_(False)

    @torch.inference_mode()
    def embed(wav: Tensor) -> Tensor:
        return F.normalize(model(features(wav)[None])[0], dim=-1)

    return embed
