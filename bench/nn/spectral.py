"""Encoder and decoder over complex spectra by residual 2-D convolutions (Li et al. 2025, arxiv.org/abs/2508.05207), causal.

The channels of the audio are coded one by one, by the same layers, up to the last of the stages that make the map smaller ("delayed
fusion"), and decoded one by one behind the first of those that make it larger. Maps are [B, T, F, C] (bench.nn.conv2d).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import Memory
from bench.nn.conv2d import CausalConv2d, CausalConvTranspose2d, Pair
from bench.nn.onednn import Linear, elu


@dataclass(frozen=True)
class SpectralNet:
    """Both halves as data. `strides` in time and frequency and `growth` of the width are those of the encoder's stages; the decoder
    mirrors them.
    """

    width: int = 32  # of the encoder's finest map
    decoder_width: int = 64
    dimension: int = 256  # of the latents
    strides: tuple[Pair, ...] = ((1, 2), (1, 2), (1, 3), (1, 2), (1, 2), (2, 2), (2, 1))
    growth: tuple[int, ...] = (2, 1, 2, 1, 1, 2, 1)
    channels: int = 2  # of the audio
    step: int = 480  # samples from spectrum to spectrum; each sees two steps
    kernel: int = 7  # of the convolutions at the finest map

    @property
    def rows(self) -> int:
        """Spectra to a latent frame."""
        return math.prod(rows for rows, _ in self.strides)

    @property
    def hop(self) -> int:
        """Samples to a latent frame."""
        return self.rows * self.step

    @property
    def bins(self) -> int:
        """Of the coarsest map; a spectrum has `step` of them, the highest is left out."""
        return self.step // math.prod(bins for _, bins in self.strides)

    def window(self) -> Tensor:
        """Of the transform [2 step]; squared, and as far apart as a step, two do not add up to one: see `Decoder`."""
        return torch.hann_window(2 * self.step, dtype=torch.float64)


def kernel_of(stride: Pair) -> Pair:
    """Of a convolution that changes the size of a map."""
    return max(3, 2 * stride[0]), max(3, 2 * stride[1])


class Down(nn.Module):
    """ELU, 3x3, ELU, convolution with a stride; added to the mean over the strides, through a matrix where the width changes."""

    def __init__(self, inputs: int, outputs: int, stride: Pair):
        super().__init__()
        self.stride = stride
        self.first = CausalConv2d(inputs, inputs, (3, 3))
        self.second = CausalConv2d(inputs, outputs, kernel_of(stride), stride)
        self.shortcut = Linear(inputs, outputs) if inputs != outputs else None

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        y = elu(self.first(elu(x, inplace=False), memory), inplace=True)
        return self.second(y, memory, onto=self.around(x))

    def around(self, x: Tensor) -> Tensor:
        """The way past the convolutions; where the last stride is broken, zeros count."""
        if self.stride != (1, 1):
            rows, bins = self.stride
            x = F.pad(x, (0, 0, 0, 0, 0, -x.shape[1] % rows)) if x.shape[1] % rows else x
            x = x.unflatten(2, (-1, bins)).unflatten(1, (-1, rows)).mean((2, 4))
        return self.shortcut(x) if self.shortcut else x.clone()  # the convolution is added onto it


class Up(nn.Module):
    """ELU, transposed convolution, ELU, 3x3; added to x, through a matrix where the width changes, repeated over the strides."""

    def __init__(self, inputs: int, outputs: int, stride: Pair):
        super().__init__()
        self.stride = stride
        plain = stride == (1, 1)
        self.first = CausalConv2d(inputs, outputs, (3, 3)) if plain else CausalConvTranspose2d(inputs, outputs, kernel_of(stride), stride)
        self.second = CausalConv2d(outputs, outputs, (3, 3))
        self.shortcut = Linear(inputs, outputs) if inputs != outputs else None

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        y = elu(self.first(elu(x, inplace=False), memory), inplace=False)
        return self.second(y, memory, onto=self.around(x))

    def around(self, x: Tensor) -> Tensor:
        """The way past the convolutions."""
        x = self.shortcut(x) if self.shortcut else x
        if self.stride == (1, 1):
            return x.clone()  # the convolution is added onto it
        rows, bins = self.stride
        x = x[:, :, None, :, None].expand(-1, -1, rows, -1, bins, -1)
        return x.flatten(3, 4).flatten(1, 2)


class Ends(nn.Module):
    """A matrix, and beside it two with ELU between; ELU before them, too, where `activated`."""

    def __init__(self, inputs: int, hidden: int, outputs: int, activated: bool):
        super().__init__()
        self.activated = activated
        self.straight, self.inner, self.outer = Linear(inputs, outputs), Linear(inputs, hidden), Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(elu(x, inplace=False) if self.activated else x)
        return self.straight(x) + self.outer(elu(y, inplace=True))


class Encoder(nn.Module):
    """Audio under its windows [B, C * 2 step, n] (`windows`) -> latents [B, D, ceil(n / rows)]."""

    window: Tensor

    def __init__(self, shape: SpectralNet):
        super().__init__()
        self.channels, width = shape.channels, shape.width
        self.register_buffer("window", shape.window().float(), persistent=False)
        self.first = CausalConv2d(2, width, (shape.kernel, shape.kernel))
        self.stages = nn.ModuleList()
        for number, (stride, growth) in enumerate(zip(shape.strides, shape.growth, strict=True)):
            together = shape.channels if number == len(shape.strides) - 1 else 1  # there, the channels of the audio come together
            self.stages.append(Down(width * together, width * growth, stride))
            width *= growth
        self.bottleneck = Down(width, width, (1, 1))
        flat = shape.bins * width
        self.ends = Ends(flat, flat, shape.dimension, activated=True)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        frames = x.transpose(1, 2).unflatten(-1, (self.channels, -1)).transpose(1, 2)  # [B, C, n, 2 step]
        spectra = torch.fft.rfft(frames * self.window)[..., :-1].contiguous()
        x = self.first(torch.view_as_real(spectra).flatten(0, 1), memory)
        for stage in self.stages[:-1]:
            x = stage(x, memory)
        x = x.unflatten(0, (-1, self.channels)).movedim(1, 3).flatten(3)  # a channel's values before the next one's
        x = self.bottleneck(self.stages[-1](x, memory), memory)
        return self.ends(x.flatten(2)).transpose(1, 2)


class Decoder(nn.Module):
    """Latents [B, D, n] -> wav [B, C, n hop]; of a whole signal, or the first piece of a stream, one frame less.

    It looks one frame ahead: what the first frame gives is dropped.
    """

    window: Tensor

    def __init__(self, shape: SpectralNet):
        super().__init__()
        self.channels, self.rows, self.bins, self.step = shape.channels, shape.rows, shape.bins, shape.step
        window = shape.window()
        power = window.square().unflatten(0, (2, -1)).sum(0).repeat(2)
        self.register_buffer("window", (window / power).float(), persistent=False)
        width = shape.decoder_width * math.prod(shape.growth)
        self.ends = Ends(shape.dimension, shape.bins * width, shape.bins * width, activated=False)
        self.bottleneck = Up(width, width, (1, 1))
        self.stages = nn.ModuleList()
        for number, (stride, growth) in enumerate(zip(shape.strides[::-1], shape.growth[::-1], strict=True)):
            apart = shape.channels if number == 0 else 1  # behind it, the channels of the audio part
            self.stages.append(Up(width, width // growth * apart, stride))
            width //= growth
        self.last = CausalConv2d(width, 2, (shape.kernel, shape.kernel))

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        x = self.ends(x.transpose(1, 2)).unflatten(-1, (self.bins, -1))
        x = self.stages[0](self.bottleneck(x, memory), memory)
        x = x.unflatten(3, (self.channels, -1)).movedim(3, 1).flatten(0, 1)
        for stage in self.stages[1:]:
            x = stage(x, memory)
        return self.audio(self.last(elu(x, inplace=True), memory), memory)

    def audio(self, maps: Tensor, memory: Memory | None) -> Tensor:
        """Spectra [B * C, T, F, 2] -> wav [B, C, samples]: their overlapping sum."""
        kept = memory.get(self) if memory is not None else None
        maps = maps if kept else maps[:, self.rows :]
        spectra = F.pad(torch.view_as_complex(maps.contiguous()), (0, 1))
        frames = (torch.fft.irfft(spectra, n=2 * self.step) * self.window).unflatten(-1, (2, -1))  # [B * C, T, 2, step]
        before = kept[0] if kept else frames.new_zeros(len(frames), 1, self.step)
        tails = torch.cat([before, frames[:, :, 1]], dim=1)
        if memory is not None:
            memory[self] = (tails[:, -1:].clone(),)
        return (frames[:, :, 0] + tails[:, :-1]).flatten(1).unflatten(0, (-1, self.channels))


def windows(wav: Tensor, step: int) -> Tensor:
    """wav [B, C, T + step] -> what each of ceil(T / step) spectra sees of it [B, C * 2 step, n]; zeros fill a broken step."""
    wav = F.pad(wav, (0, -wav.shape[-1] % step))
    return wav.unfold(-1, 2 * step, step).transpose(2, 3).flatten(1, 2)
