"""What a reconstruction is trained against: mel and linear spectra at several scales, and the waveform.

wav is [B, T] float32 here. Magnitudes are scaled so that a full-scale sine reads 1; terms are means, so they do not grow with the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

ENVELOPE_WINDOW = 640  # samples: 40 ms at 16 kHz
ENVELOPE_SECONDS = 0.4


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms; `scales` are (window in samples, mel bands) pairs, the hop is a quarter of the window."""

    scales: tuple[tuple[int, int], ...] = ((320, 40), (640, 64), (1024, 80), (2048, 128))
    mel: float = 1.0
    stft: float = 20.0
    envelope: float = 0.0  # what it draws to is most of what STOI looks at: a card has to say so
    wave: float = 0.1
    commit: float = 0.02  # more of it shrinks the latents to the few dimensions that the first codebooks see
    adversarial: float = 1.0  # these two only where a recipe has a discriminator
    features: float = 1.0
    distill: float = 1.0  # only where it has a teacher
    balance: float = (
        0.0  # above 0: norm of a crop's gradient at the waveform, of which mel, stft, wave, adversarial and features are shares
    )
    floor: float = 2e-4  # magnitudes below it are silence: a lower floor spends bits on the recording's own noise


class Magnitude(torch.autograd.Function):
    """|rfft| of frames [..., N] -> [..., N // 2 + 1], its adjoint as one inverse real FFT (autograd's own is a full complex one)."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, frames: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(frames)
        real, imaginary = spectrum.real, spectrum.imag  # abs() calls hypot: three times slower
        magnitude = torch.addcmul(real * real, imaginary, imaginary).add_(1e-12).sqrt_()
        ctx.save_for_backward(spectrum, magnitude)
        return magnitude

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        spectrum, magnitude = ctx.saved_tensors  # type: ignore[attr-defined]
        scale = grads[0] / magnitude
        scale[..., 1:-1] *= 0.5  # inner bins stand for two in the inverse transform; N is even, so the last is Nyquist
        size = 2 * (spectrum.shape[-1] - 1)
        return torch.fft.irfft(spectrum * scale, n=size).mul_(size)


def mel_filters(bands: int, bins: int, sample_rate: int) -> Tensor:
    """Triangular filters [bins, bands] with centres even on the HTK mel scale up to Nyquist, each summing to 1; none is empty."""
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2, dtype=torch.float64) / 2595) - 1) / (sample_rate / 2) * (bins - 1)
    width = edges.diff().clamp_min(1.0)  # at least one bin a side: narrow low bands would fall between bins
    at = torch.arange(bins, dtype=torch.float64)[:, None]
    rise = (at - edges[1:-1] + width[:-1]) / width[:-1]
    fall = (edges[1:-1] + width[1:] - at) / width[1:]
    filters = torch.minimum(rise, fall).clamp_min(0)
    return (filters / filters.sum(0).clamp_min(1e-9)).float()


def third_octaves(bins: int, sample_rate: int) -> Tensor:
    """[bins, bands] that add up the bins of each third of an octave from 150 Hz on, as STOI's bands do, as far as Nyquist allows."""
    edge = 150 * 2 ** (torch.arange(-1, 3 * 15, 2, dtype=torch.float64) / 6)
    at = torch.arange(bins, dtype=torch.float64)[:, None] * sample_rate / 2 / (bins - 1)
    inside = (at >= edge[:-1]) & (at < edge[1:])
    return inside[:, inside.any(0) & (edge[1:] <= sample_rate / 2)].float()


class SpectralLoss(nn.Module):
    """Multi-scale log-mel L1, compressed linear-magnitude L1 and, where it counts, the likeness of envelopes, of two waveforms."""

    octaves: Tensor

    def __init__(self, config: LossConfig, sample_rate: int) -> None:
        super().__init__()
        self.config, self.sample_rate = config, sample_rate
        self.register_buffer("octaves", third_octaves(ENVELOPE_WINDOW // 2 + 1, sample_rate), persistent=False)
        for size, bands in config.scales:
            self.register_buffer(f"window_{size}", torch.hann_window(size) * (4 / size), persistent=False)
            self.register_buffer(f"mel_{size}", mel_filters(bands, size // 2 + 1, sample_rate), persistent=False)

    def magnitude(self, wav: Tensor, size: int) -> Tensor:
        """wav [B, T] -> [B, frames, size // 2 + 1]; frames are cut by reshape, whose gradient is cheap."""
        hop = size // 4
        steps = functional.pad(wav, (0, -wav.shape[-1] % hop)).view(wav.shape[0], -1, hop)
        count = steps.shape[1] - 3
        frames = torch.cat([steps[:, i : i + count] for i in range(4)], dim=-1)
        return Magnitude.apply(frames * getattr(self, f"window_{size}"))  # type: ignore[return-value]

    def forward(self, ref: Tensor, est: Tensor) -> dict[str, Tensor]:
        """ref, est [B, T] -> mel and stft: log-mel L1 in nepers and L1 of square-rooted magnitudes, each the mean over the scales.

        With a weight of its own also envelope: see there.
        """
        mel, stft, floor = est.new_zeros(()), est.new_zeros(()), self.config.floor
        for size, _ in self.config.scales:
            filters = getattr(self, f"mel_{size}")
            with torch.no_grad():
                wanted = self.magnitude(ref, size)
                wanted_mel, wanted = (wanted @ filters + floor).log(), (wanted + floor).sqrt()
            given = self.magnitude(est, size)
            mel = mel + (given @ filters + floor).log().sub(wanted_mel).abs().mean()
            stft = stft + (given + floor).sqrt().sub(wanted).abs().mean()
        terms = {"mel": mel / len(self.config.scales), "stft": stft / len(self.config.scales)}
        return terms | {"envelope": self.envelope(ref, est)} if self.config.envelope else terms

    def envelope(self, ref: Tensor, est: Tensor) -> Tensor:
        """1 - correlation of the two third-octave envelopes over stretches of 0.4 s, mean over bands and stretches.

        What short-time measures of intelligibility look at (Taal et al. 2011, IEEE TASLP 19(7)), here without their limit on single
        frames. Stretches 40 dB below the loudest of a crop do not count.
        """
        hop = ENVELOPE_WINDOW // 4
        stretches = []
        for wav in (ref, est):
            power = self.magnitude(wav, ENVELOPE_WINDOW).square() @ self.octaves + self.config.floor**2
            length = min(round(ENVELOPE_SECONDS * self.sample_rate / hop), power.shape[1])
            stretches.append(power.sqrt().unfold(1, length, max(1, length // 4)))  # [B, stretches, bands, length]
        x, y = (part - part.mean(-1, keepdim=True) for part in stretches)
        loud = stretches[0].square().sum((2, 3))
        heard = (loud > 1e-4 * loud.amax(1, keepdim=True)).to(ref.dtype)[..., None]
        alike = functional.cosine_similarity(x, y, dim=-1, eps=1e-6)
        return ((1 - alike) * heard).sum() / (heard.sum() * x.shape[2]).clamp(min=1)
