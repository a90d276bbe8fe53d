"""Networks that tell recordings from reconstructions: on complex spectra at several scales, and on samples a period apart.

wav [B, T] -> one Opinion a network. Scales as EnCodec has them (arxiv.org/abs/2210.13438, section 3.4 and figure 2), periods as HiFi-GAN
(arxiv.org/abs/2010.05646, section 2.3). Widths are free: the papers' own (32 filters; 32, 128, 512, 1024 channels) are for GPUs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

SLOPE_STFT, SLOPE_PERIOD = 0.2, 0.1  # of the leaky ReLUs
DILATIONS = (1, 2, 4)  # over time, in the convolutions that halve the frequencies
FLOOR = 1e-3  # magnitudes far below it stay as they are: the root of nothing has no gradient
KERNEL, STRIDE = 5, 3  # of a period network


@dataclass(frozen=True)
class DiscriminatorShape:
    """All discriminators as data; no windows, or no periods: none of that kind."""

    windows: tuple[int, ...] = (2048, 1024, 512)  # samples; the hop is a quarter
    filters: int = 16
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples
    channels: tuple[int, ...] = (8, 16, 32, 64)


@dataclass(frozen=True)
class Opinion:
    """What one network says: logits [B, ...], high for a recording, and the feature maps [B, ...] of its layers."""

    logits: Tensor
    features: tuple[Tensor, ...]


class ScaleDiscriminator(nn.Module):
    """Convolutions over the complex spectrum of one window size: real and imaginary part are two channels of an image.

    Magnitudes become their square roots, as in the losses: as they are, the loudest harmonics hide all others, and a network hears no
    difference in its first 200 steps; of their roots it does after 75 (shipped wavtokenizer and encodec, batches of 6, rate 1e-3).
    """

    window: Tensor

    def __init__(self, size: int, filters: int):
        super().__init__()
        self.size = size
        self.register_buffer("window", torch.hann_window(size) * (8 / 3 / size) ** 0.5, persistent=False)  # noise keeps its power
        self.layers = nn.ModuleList([weight_norm(nn.Conv2d(2, filters, (3, 8), padding=(1, 3)))])
        self.layers.extend(weight_norm(nn.Conv2d(filters, filters, (3, 8), (1, 2), (1, 3))) for _ in DILATIONS)
        self.layers.append(weight_norm(nn.Conv2d(filters, filters, 3, padding=1)))
        self.last = weight_norm(nn.Conv2d(filters, 1, 3, padding=1))

    def forward(self, wav: Tensor) -> Opinion:
        with torch.autocast(wav.device.type, enabled=False):
            spectrum = torch.stft(wav.float(), self.size, self.size // 4, window=self.window, pad_mode="constant", return_complex=True)
            x = torch.view_as_real(spectrum)
            x = x * (x.square().sum(-1, keepdim=True) + FLOOR**2) ** -0.25
            x = x.permute(0, 3, 2, 1)  # [B, 2, frames, bins]
        x = x.contiguous(memory_format=torch.channels_last)
        features = []
        for layer, dilation in zip(self.layers, (1, *DILATIONS, 1), strict=True):
            x = F.leaky_relu(dilated(layer, x, dilation), SLOPE_STFT)
            features.append(x)
        return Opinion(self.last(x).float(), tuple(features))


def dilated(conv: nn.Module, x: Tensor, dilation: int) -> Tensor:
    """A convolution of images [B, C, frames, bins], dilated so many times over time: of every such frame by itself, plain ones.

    On a CPU the gradients of those are three times as fast.
    """
    if dilation == 1:
        return conv(x)
    frames = x.shape[2]
    phases = F.pad(x, (0, 0, 0, -frames % dilation)).unflatten(2, (-1, dilation)).permute(0, 3, 2, 4, 1)  # channels last
    y = conv(phases.flatten(0, 1).permute(0, 3, 1, 2)).unflatten(0, (-1, dilation))
    return y.permute(0, 3, 1, 4, 2).flatten(1, 2)[:, :frames].permute(0, 3, 1, 2)


class PeriodDiscriminator(nn.Module):
    """Convolutions over every `period`-th sample; each of the `period` phases is a signal by itself."""

    def __init__(self, period: int, channels: tuple[int, ...]):
        super().__init__()
        self.period = period
        inputs = (1, *channels[:-1])
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv1d(i, o, KERNEL, STRIDE, KERNEL // 2)) for i, o in zip(inputs, channels, strict=True)
        )
        self.layers.append(weight_norm(nn.Conv1d(channels[-1], channels[-1], KERNEL, padding=KERNEL // 2)))
        self.last = weight_norm(nn.Conv1d(channels[-1], 1, 3, padding=1))

    def forward(self, wav: Tensor) -> Opinion:
        count = len(wav)
        x = F.pad(wav, (0, -wav.shape[-1] % self.period))
        x = x.view(count, -1, self.period).transpose(1, 2).flatten(0, 1)[:, None]  # [B * period, 1, T / period]
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE_PERIOD)
            features.append(x.unflatten(0, (count, self.period)))
        return Opinion(self.last(x).float().unflatten(0, (count, self.period)), tuple(features))


class Discriminators(nn.Module):
    """All networks of a shape: wav [B, T] -> their opinions."""

    def __init__(self, shape: DiscriminatorShape):
        super().__init__()
        if not shape.windows and not shape.periods:
            raise ValueError("a discriminator needs windows or periods")
        scales = [ScaleDiscriminator(size, shape.filters) for size in shape.windows]
        periods = [PeriodDiscriminator(period, shape.channels) for period in shape.periods]
        self.networks = nn.ModuleList([*scales, *periods])

    def forward(self, wav: Tensor) -> list[Opinion]:
        return [network(wav) for network in self.networks]
