"""Short-time spectra in, short-time spectra out: a causal encoder and decoder whose sample-rate work is one Fourier transform.

After Vocos (Siuzdak 2023, arxiv.org/abs/2306.00814): ConvNeXt blocks at the rate of the spectra and an inverse transform as the last
layer, here all causal. wav [B, 1, T] with T a multiple of the hop <-> latents [B, D, T / hop]. The blocks have a centred form, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn import winograd
from bench.nn.conv import CausalConv1d, CausalConvTranspose1d, Memory
from bench.nn.onednn import Linear, Order, convolved, ordered


@dataclass(frozen=True)
class Vocos:
    """Both halves as data: spectra every `step` samples, `stride` of them to a latent frame."""

    dimension: int = 256
    step: int = 240
    stride: int = 4
    width: int = 256
    hidden: int = 768
    kernel: int = 7
    encoder_layers: int = 2
    decoder_layers: int = 4
    analysis: int = 1024  # samples of the window that the encoder looks through; it ends where the frame ends
    overlap: int = 2  # steps that the decoder's window is long; it begins where the frame begins, so nothing lags

    @property
    def hop(self) -> int:
        """Samples a latent frame."""
        return self.step * self.stride

    def encoder(self) -> VocosEncoder:
        """A new encoder."""
        return VocosEncoder(self)

    def decoder(self) -> VocosDecoder:
        """A new decoder."""
        return VocosDecoder(self)


class LogSpectrum(nn.Module):
    """wav [B, 1, T] -> log magnitudes [B, window / 2 + 1, T / step] in about -1..1.

    The window of frame f ends with sample (f + 1) * step, or has that frame of `step` samples in its middle.
    """

    FLOOR = 1e-2  # a full-scale sine reads window / 4: quieter than -88 dB is silence

    taper: Tensor

    def __init__(self, window: int, step: int, causal: bool = True):
        super().__init__()
        self.window, self.step, self.future = window, step, 0 if causal else (window - step) // 2
        self.register_buffer("taper", torch.hann_window(window), persistent=False)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        past = self.window - self.step - self.future
        kept = memory.get(self) if memory is not None else None
        x = torch.cat([kept[0], x], dim=-1) if kept is not None else F.pad(x, (past, self.future))
        if memory is not None:
            memory[self] = (x[..., -past:].clone(),)
        frames = x[:, 0].unfold(-1, self.window, self.step) * self.taper
        return torch.fft.rfft(frames).abs().add(self.FLOOR).log().mul(0.2).transpose(1, 2)


class PaddedConv1d(nn.Conv1d):
    """Convolution of odd kernel with zeros on both sides: [B, C, F] -> [B, C, F]; it hears the future, so it takes no memory."""

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int, bias: bool = True):
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=bias)
        self.order = Order()

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor:
        if not self.order.serves(input):
            return super().forward(input)
        if self.kernel_size == (3,) and self.groups == 1 and input.dtype == torch.float32:
            return winograd.convolved(input, self.order.of(self.weight, winograd.factors), self.bias)
        weight = self.order.of(self.weight, partial(ordered, groups=self.groups))
        return convolved(input, weight, self.bias, padding=int(self.padding[0]), groups=self.groups)


class ConvNeXt(nn.Module):
    """x + scale * MLP(norm(depth-wise convolution of x)): [B, C, F] -> [B, C, F] (Liu et al. 2022, arxiv.org/abs/2201.03545)."""

    def __init__(self, width: int, hidden: int, kernel: int, scale: float, causal: bool, epsilon: float):
        super().__init__()
        self.depthwise = (CausalConv1d if causal else PaddedConv1d)(width, width, kernel, groups=width)
        self.norm = nn.LayerNorm(width, epsilon)
        self.linear1, self.linear2 = Linear(width, hidden), Linear(hidden, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return self.added(x, self.norm(self.depthwise(x, memory).transpose(1, 2)))

    def added(self, x: Tensor, y: Tensor) -> Tensor:
        """x [B, C, F] and what the MLP makes of y [B, F, C] -> [B, C, F]."""
        return torch.addcmul(x.transpose(1, 2), self.linear2(self.linear1(y, "gelu")), self.scale).transpose(1, 2)


def overlap_add(windows: Tensor) -> Tensor:
    """Windows in steps [B, F, overlap, step], each begun a step after the one before, added up: [B, F + overlap - 1, step]."""
    frames, overlap, step = windows.shape[1:]
    y = windows.new_zeros(len(windows), frames + overlap - 1, step)
    for late in range(overlap):
        y[:, late : late + frames] += windows[:, :, late]
    return y


class InverseSpectrum(nn.Module):
    """Features [B, C, F] -> wav [B, 1, F * step]: each frame's magnitudes and phases, transformed, windowed and added up.

    A frame's window begins with the frame; what reaches past the last frame is dropped, or in a stream kept for the next piece.
    """

    LOUDEST = 6.0  # nepers: keeps the exponential finite

    taper: Tensor

    def __init__(self, width: int, step: int, overlap: int):
        super().__init__()
        self.step, self.overlap, self.bins = step, overlap, step * overlap // 2 + 1
        self.linear = Linear(width, 2 * self.bins)
        self.register_buffer("taper", torch.hann_window(step * overlap) * (2 / overlap), persistent=False)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        magnitude, phase = self.linear(x.transpose(1, 2)).float().split(self.bins, dim=-1)
        spectrum = torch.polar(magnitude.clamp(max=self.LOUDEST).exp(), phase)
        pieces = (torch.fft.irfft(spectrum, n=self.step * self.overlap) * self.taper).unflatten(-1, (self.overlap, self.step))
        y, tail = overlap_add(pieces), self.overlap - 1
        if memory is not None and self in memory:
            y[:, :tail] += memory[self][0]
        if memory is not None:
            memory[self] = (y[:, y.shape[1] - tail :].clone(),)
        return y[:, : y.shape[1] - tail].flatten(1)[:, None]


class Stack(nn.Module):
    """ConvNeXt blocks between two layer norms: [B, C, F] -> [B, C, F]."""

    def __init__(self, width: int, hidden: int, kernel: int, layers: int, causal: bool = True, epsilon: float = 1e-5):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, epsilon), nn.LayerNorm(width, epsilon)
        scale = 1 / math.sqrt(max(1, layers))
        self.layers = nn.ModuleList(ConvNeXt(width, hidden, kernel, scale, causal, epsilon) for _ in range(layers))

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        x = self.norm1(x.transpose(1, 2)).transpose(1, 2)
        for layer in self.layers:
            x = layer(x, memory)
        return self.norm2(x.transpose(1, 2)).transpose(1, 2)


class VocosEncoder(nn.Module):
    """wav [B, 1, T], filled up with zeros to whole frames -> latents [B, D, ceil(T / hop)]."""

    def __init__(self, shape: Vocos):
        super().__init__()
        self.hop = shape.hop
        self.spectrum = LogSpectrum(shape.analysis, shape.step)
        self.embed = CausalConv1d(shape.analysis // 2 + 1, shape.width, 1)
        self.stack = Stack(shape.width, shape.hidden, shape.kernel, shape.encoder_layers)
        self.gather = CausalConv1d(shape.width, shape.dimension, shape.stride, shape.stride)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        x = F.pad(x, (0, -x.shape[-1] % self.hop))
        return self.gather(self.stack(self.embed(self.spectrum(x, memory), memory), memory), memory)


class VocosDecoder(nn.Module):
    """Latents [B, D, F] -> wav [B, 1, F * hop]."""

    def __init__(self, shape: Vocos):
        super().__init__()
        self.spread = CausalConvTranspose1d(shape.dimension, shape.width, shape.stride, shape.stride)
        self.stack = Stack(shape.width, shape.hidden, shape.kernel, shape.decoder_layers)
        self.head = InverseSpectrum(shape.width, shape.step, shape.overlap)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return self.head(self.stack(self.spread(x, memory), memory), memory)
