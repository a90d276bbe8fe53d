"""Rooms and tempo: what happens to a wave [T] at RATE."""

from __future__ import annotations

import math

import numpy as np

from bench.pairs.pieces import RATE

SOUND = 343.0  # m/s
FRAME, SEARCH = 512, 160  # samples of a frame that is moved, and how far it may be moved to fit


def response(size: tuple[float, float, float], source: np.ndarray, ear: np.ndarray, t60: float) -> np.ndarray:
    """The impulse response [T] of a room of `size` m that falls by 60 dB in t60 s: the image-source method of Allen & Berkley (1979).

    All walls reflect alike, by the formula of Eyring; every image is at the nearest sample. As a room of flat walls echoes longer than that
    says, the whole is then brought to its time. Of unit energy, its direct sound first.
    """
    volume, surface = math.prod(size), 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    reflects = math.exp(-24 * math.log(10) * volume / (SOUND * surface * t60) / 2)  # of pressure
    reach = [math.ceil(SOUND * t60 / (2 * side)) for side in size]
    axes = []
    for axis, side in enumerate(size):
        n = np.arange(-reach[axis], reach[axis] + 1)
        place = np.concatenate([2 * n * side + source[axis], 2 * n * side - source[axis]]) - ear[axis]
        axes.append((place, np.concatenate([np.abs(2 * n), np.abs(2 * n - 1)])))
    far = np.sqrt(axes[0][0][:, None, None] ** 2 + axes[1][0][None, :, None] ** 2 + axes[2][0][None, None] ** 2)
    walls = axes[0][1][:, None, None] + axes[1][1][None, :, None] + axes[2][1][None, None]
    delay = np.round((far - far.min()) / SOUND * RATE).astype(int)
    near = delay < t60 * RATE
    found = np.bincount(delay[near], (reflects ** walls[near]) / far[near])
    found *= 10 ** (-3 * np.arange(len(found)) / RATE * (1 / t60 - 1 / reverberation(found)))
    return found / np.sqrt(np.sum(found**2))


def reverberation(room: np.ndarray) -> float:
    """The seconds in which what is left of a response falls by 60 dB: three times those from 5 to 25 dB (Schroeder 1965)."""
    left = np.cumsum(room[::-1] ** 2)[::-1]
    first, last = (int(np.argmax(10 * np.log10(left / left[0]) < level)) for level in (-5, -25))
    return 3 * (last - first) / RATE


def heard_in(room: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """The wave in a room of that response, as long and as loud as it was: the end of its echo is cut off."""
    length = 1 << (len(wave) + len(room)).bit_length()
    found = np.fft.irfft(np.fft.rfft(wave, length) * np.fft.rfft(room, length), length)[: len(wave)]
    return found * np.sqrt(np.sum(wave**2) / max(1e-12, np.sum(found**2)))


def paced(wave: np.ndarray, faster: float) -> np.ndarray:
    """Spoken so many times faster, at its own pitch: frames are laid where they go on best (WSOLA, Verhelst & Roelands 1993)."""
    hop, window = FRAME // 2, np.hanning(FRAME + 1)[:FRAME]
    length = round(len(wave) / faster)
    padded = np.pad(wave.astype(np.float64), (hop + SEARCH, 2 * FRAME + SEARCH))
    found, weight = np.zeros(length + 2 * FRAME), np.zeros(length + 2 * FRAME)
    natural = SEARCH  # where the frame would go on that was laid last
    for start in range(0, length + hop, hop):
        wanted = SEARCH + round(start * faster)
        if wanted + SEARCH + FRAME > len(padded):
            break
        near, goal = padded[wanted - SEARCH : wanted + SEARCH + FRAME], padded[natural : natural + FRAME]
        place = wanted
        if start and len(goal) == FRAME:
            energy = np.cumsum(np.concatenate([[0.0], near**2]))
            place += int(np.argmax(np.correlate(near, goal) / np.sqrt(energy[FRAME:] - energy[:-FRAME] + 1e-9))) - SEARCH
        found[start : start + FRAME] += window * padded[place : place + FRAME]
        weight[start : start + FRAME] += window
        natural = place + hop
    return (found / np.maximum(weight, 1e-3))[hop : hop + length]
