"""How crops differ from the recordings, drawn from a generator: another crop mixed in, an equaliser, a made-up room. wav is [B, T] float32.

All filters of a crop are one product of spectra. The loudness (root mean square) of a crop stays what it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

PREDELAY = 0.003  # seconds from the direct sound to the first of the room


@dataclass(frozen=True)
class Augment:
    """What is done to which share of the crops; ranges are (low, high). Rooms, equalisers and mixtures are off unless asked for."""

    gain: tuple[float, float] = (-10.0, 3.0)  # dB
    speeds: tuple[float, ...] = (0.89, 1.0, 1.12)  # of playing; pitch goes along
    image: float = (
        0.4  # share of crops of 16 kHz recordings that get a band above 8 kHz: else every wide-band voice were noise to the model
    )
    image_gain: tuple[float, float] = (-18.0, -4.0)  # dB
    mix: float = 0.0  # share of crops that another crop of the batch is mixed into
    mix_snr: tuple[float, float] = (3.0, 20.0)  # dB
    eq: float = 0.0  # share of crops through a low shelf, a peak and a high shelf
    eq_gain: float = 8.0  # dB, of each at most, up or down
    reverb: float = 0.0  # share of crops in a room
    reverb_time: tuple[float, float] = (0.1, 0.5)  # seconds in which the room's sound falls by 60 dB
    reverb_ratio: tuple[float, float] = (0.0, 15.0)  # dB, of the direct sound to the room's


def altered(wav: Tensor, sample_rate: int, augment: Augment, generator: torch.Generator) -> Tensor:
    """The batch with everything that `augment` asks for but gain, speed and image; no sample beyond 0.99."""
    count, length = wav.shape
    chance, amount = torch.rand(3, count, generator=generator), torch.rand(3, count, generator=generator)
    if augment.mix and count > 1:
        shift = int(torch.randint(1, count, (), generator=generator))
        wav = torch.where((chance[0] < augment.mix)[:, None], mixed(wav, wav.roll(shift, 0), between(augment.mix_snr, amount[0])), wav)
    bands = torch.rand(3, 3, count, generator=generator)
    shaped, placed = chance[1] < augment.eq, chance[2] < augment.reverb
    changed = shaped | placed
    if changed.any():
        some = wav[changed]
        size = fast_length(length + round(augment.reverb_time[1] * sample_rate))
        spectrum = torch.fft.rfft(some, size)
        if shaped.any():
            spectrum[shaped[changed]] *= equaliser(bands[..., shaped], augment.eq_gain, size, sample_rate)
        if placed.any():
            room = rooms(
                between(augment.reverb_time, amount[1, placed]), between(augment.reverb_ratio, amount[2, placed]), sample_rate, generator
            )
            spectrum[placed[changed]] *= torch.fft.rfft(room, size)
        heard = torch.fft.irfft(spectrum, size)[:, :length]
        wav = wav.index_put((changed,), heard * (loudness(some) / loudness(heard).clamp(min=1e-9)))
    return wav / (wav.abs().amax(1, keepdim=True) / 0.99).clamp(min=1)


def between(limits: tuple[float, float], chance: Tensor) -> Tensor:
    """0 .. 1 -> low .. high."""
    return limits[0] + (limits[1] - limits[0]) * chance


def loudness(wav: Tensor) -> Tensor:
    """Root mean square [B, 1]."""
    return wav.square().mean(1, keepdim=True).sqrt()


def fast_length(length: int) -> int:
    """The next even length that an FFT likes: a power of two, or 3, 5, 9 or 15 times one."""
    return min(m * 2 ** max(1, math.ceil(math.log2(length / m))) for m in (1, 3, 5, 9, 15))


def mixed(wav: Tensor, other: Tensor, snr: Tensor) -> Tensor:
    """wav [B, T] with `other` [B, T] in the background, snr [B] in dB, at wav's loudness; silence mixes with nothing."""
    level = loudness(wav)
    share = level / loudness(other).clamp(min=1e-9) * 10 ** (-snr[:, None] / 20)
    both = wav + torch.where(loudness(other) > 1e-6, share, 0.0) * other
    return both * (level / loudness(both).clamp(min=1e-9))


def equaliser(chance: Tensor, gain: float, size: int, sample_rate: int) -> Tensor:
    """Magnitudes [B, size // 2 + 1] of a low shelf, a peak and a high shelf in a row; chance [3, 3, B] in 0 .. 1 sets them.

    Second-order sections of R. Bristow-Johnson's "Cookbook formulae for audio EQ biquad filter coefficients", without their phase.
    """
    top = min(8_000.0, 0.4 * sample_rate)
    ranges = torch.tensor([[100.0, 500.0], [300.0, 0.75 * top], [0.25 * top, top]]).log()
    hertz = (ranges[:, :1] + (ranges[:, 1:] - ranges[:, :1]) * chance[0]).exp()
    turn, level = 2 * math.pi * hertz.double() / sample_rate, (2 * chance[1] - 1) * gain  # single precision fails at low frequencies
    sections = (
        shelf(turn[0], level[0], 1.0),
        bell(turn[1], level[1], 0.5 * 4 ** chance[2, 1]),
        shelf(turn[2], level[2], -1.0),
    )
    cosine = torch.linspace(0, math.pi, size // 2 + 1, dtype=torch.float64).cos()
    power = torch.ones((), dtype=torch.float64)
    for numerator, denominator in sections:
        power = power * (squared(numerator, cosine) / squared(denominator, cosine))
    return power.sqrt().float()


def squared(coefficients: Tensor, cosine: Tensor) -> Tensor:
    """|c0 + c1 z + c2 z^2|^2 on the unit circle, of coefficients [3, B] at angles of these cosines [N] -> [B, N]."""
    c0, c1, c2 = coefficients[..., None]
    return ((c0 - c2).square() + c1.square()) + cosine * (2 * c1 * (c0 + c2) + cosine * (4 * c0 * c2))


def bell(turn: Tensor, gain: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Numerator and denominator [3, B] of a peak at `turn` [B] (radians a sample), gain in dB, quality `width`."""
    root, alpha, cosine = 10 ** (gain / 40), turn.sin() / (2 * width), turn.cos()
    top = torch.stack([1 + alpha * root, -2 * cosine, 1 - alpha * root])
    return top, torch.stack([1 + alpha / root, -2 * cosine, 1 - alpha / root])


def shelf(turn: Tensor, gain: Tensor, side: float) -> tuple[Tensor, Tensor]:
    """The same of a shelf of slope 1: side 1.0 raises what lies below `turn`, -1.0 what lies above."""
    root, cosine = 10 ** (gain / 40), side * turn.cos()
    alpha = turn.sin() / math.sqrt(2) * 2 * root.sqrt()
    more, less = root + 1, root - 1
    top = torch.stack(
        [root * (more - less * cosine + alpha), 2 * side * root * (less - more * cosine), root * (more - less * cosine - alpha)]
    )
    return top, torch.stack([more + less * cosine + alpha, -2 * side * (less + more * cosine), more + less * cosine - alpha])


def rooms(time: Tensor, ratio: Tensor, sample_rate: int, generator: torch.Generator) -> Tensor:
    """Impulse responses [B, L]: the direct sound, then noise that falls by 60 dB in time [B] s; ratio [B] of their energies in dB."""
    length = max(2, round(float(time.max()) * sample_rate))
    moments = torch.arange(length) / sample_rate
    tail = torch.randn(len(time), length, generator=generator) * torch.exp(-3 * math.log(10) * moments / time[:, None])
    tail[:, : max(1, round(PREDELAY * sample_rate))] = 0
    tail *= 10 ** (-ratio[:, None] / 20) / torch.linalg.vector_norm(tail, dim=1, keepdim=True).clamp(min=1e-9)
    tail[:, 0] = 1
    return tail
