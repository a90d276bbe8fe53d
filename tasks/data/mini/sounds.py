"""Eight general sounds made from seeded noise, resonances and pulses: rain, wind and birds, engine, footsteps, bell, dog, glass, typing.

Each function takes a generator and gives mono float64 [T] at RATES[name] Hz, of any level; render.py sets the level.
Nothing here is a recording, so the clips are the project's own (MIT).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

Wave = NDArray[np.float64]
Rng = np.random.Generator


def band(wave: Wave, low: float, high: float, rate: int, order: int = 2) -> Wave:
    """What lies between `low` and `high` Hz (Butterworth)."""
    return np.asarray(sosfilt(butter(order, (low, high), "bandpass", fs=rate, output="sos"), wave))


def slow(rng: Rng, size: int, rate: int, hz: float) -> Wave:
    """A random curve [size] of unit deviation that moves at about `hz`."""
    knots = int(size / rate * hz) + 4
    curve = np.interp(np.linspace(0, knots - 1, size), np.arange(knots), rng.standard_normal(knots))
    width = max(int(rate / hz / 2), 1)
    smooth = np.convolve(np.pad(curve, width, mode="edge"), np.hanning(2 * width + 1), "same")[width:-width]
    return (smooth - smooth.mean()) / smooth.std()


def ring(hz: float, decay: float, rate: int, seconds: float, phase: float = 0.0) -> Wave:
    """A sine that dies away: -60 dB after `decay` seconds."""
    t = np.arange(int(seconds * rate)) / rate
    return np.sin(2 * np.pi * hz * t + phase) * 10 ** (-3 * t / decay)


def burst(rng: Rng, low: float, high: float, decay: float, rate: int) -> Wave:
    """A burst of filtered noise with a 1 ms attack, -60 dB after `decay` seconds, of unit peak."""
    t = np.arange(int(1.2 * decay * rate)) / rate
    out = band(rng.standard_normal(t.size), low, high, rate) * 10 ** (-3 * t / decay) * np.minimum(t / 0.001, 1)
    return out / np.abs(out).max()


def put(out: Wave, event: Wave, seconds: float, rate: int, gain: float = 1.0) -> None:
    """Add an event to `out` in place; what would pass the end is dropped."""
    start = int(seconds * rate)
    room = max(min(event.size, out.size - start), 0)
    out[start : start + room] += gain * event[:room]


def room(rng: Rng, dry: Wave, rate: int, decay: float, wet: float, floor: float) -> Wave:
    """The sound in a room: a tail of `decay` seconds at `wet`, and a quiet murmur `floor` below the peak, so that no stretch is dead."""
    t = np.arange(int(decay * rate)) / rate
    tail = band(rng.standard_normal(t.size), 100, 7_000, rate) * 10 ** (-3 * t / decay)
    out = dry + wet * fftconvolve(dry, tail / np.sqrt((tail**2).sum()))[: dry.size]
    murmur = band(rng.standard_normal(dry.size), 60, 900, rate, 1) * np.exp(0.3 * slow(rng, dry.size, rate, 2))
    return out + murmur / murmur.std() * floor * np.abs(out).max()


def rain(rng: Rng, rate: int) -> Wave:
    """A steady hiss, some hundred drops a second, and now and then a bubble that chirps upwards."""
    size = 4 * rate
    out = band(rng.standard_normal(size), 700, 14_000, rate, 1) * (0.10 + 0.015 * slow(rng, size, rate, 3))
    for start in rng.uniform(0, 4, 560):
        put(out, ring(rng.uniform(1_500, 9_000), rng.uniform(0.004, 0.02), rate, 0.02), start, rate, 0.12 * rng.lognormal(0, 0.8))
    for start in rng.uniform(0, 3.9, 36):
        t = np.arange(int(0.05 * rate)) / rate
        chirp = np.sin(2 * np.pi * rng.uniform(500, 1_800) * (t + 6 * t**2)) * np.exp(-t / 0.012)
        put(out, chirp, start, rate, rng.uniform(0.1, 0.5))
    return out


def wind(rng: Rng, rate: int) -> Wave:
    """Gusts, whose pitch rises with their strength, and three birds that sing in phrases above them."""
    size = 4 * rate
    gust = slow(rng, size, rate, 1.2)
    out = np.zeros(size)
    for octave in np.arange(7, 11.5, 0.5):
        noise = band(rng.standard_normal(size), 2 ** (octave - 0.3), 2 ** (octave + 0.3), rate)
        out += noise / noise.std() * np.exp(-((octave - 8.6 - 0.8 * gust) ** 2)) * 2 ** (0.6 * gust)
    out *= 0.25 / np.abs(out).max()
    for bird, pitch in enumerate((3_200.0, 4_700.0, 6_100.0)):
        for phrase in np.arange(0.3 + 0.5 * bird, 3.6, 1.4):
            for note in range(int(rng.integers(3, 7))):
                t = np.arange(int(rng.uniform(0.05, 0.11) * rate)) / rate
                sweep = pitch * (1 + rng.uniform(-0.15, 0.15) + rng.uniform(-3, 3) * t + 0.04 * np.sin(2 * np.pi * rng.uniform(20, 60) * t))
                phase = 2 * np.pi * np.cumsum(sweep) / rate
                song = (np.sin(phase) + 0.2 * np.sin(2 * phase)) * np.hanning(t.size)
                put(out, song, phrase + 0.13 * note, rate, rng.uniform(0.15, 0.4))
    return out


def engine(rng: Rng, rate: int) -> Wave:
    """A four-cylinder engine that idles, is opened up and falls back: uneven firing, exhaust resonances, intake noise."""
    size = 4 * rate
    t = np.arange(size) / rate
    crank = 14 + 22 * np.exp(-(((t - 2) / 0.8) ** 2)) + 0.3 * slow(rng, size, rate, 6)  # turns a second
    phase = 2 * np.pi * np.cumsum(crank) / rate
    out = np.zeros(size)
    for half in range(1, 120):  # multiples of half a turn; the fourth is the firing rate
        strength = (1.0 if half % 4 == 0 else 0.25) * rng.uniform(0.4, 1) / half**0.8
        out += strength * np.sin(half * phase / 2 + rng.uniform(0, 2 * np.pi))
    noise = band(rng.standard_normal(size), 300, 6_000, rate, 1) * (0.4 + np.maximum(np.sin(2 * phase), 0) ** 4)
    out += 0.4 * noise * crank / crank.max()
    return out * 0.3 + band(out, 90, 180, rate) + 0.7 * band(out, 400, 700, rate) + 0.4 * band(out, 1_500, 2_500, rate)


def footsteps(rng: Rng, rate: int) -> Wave:
    """Seven steps on gravel: a heel's thud, then crumbling stones under the toe."""
    out = np.zeros(4 * rate)
    for step in range(7):
        start = 0.15 + 0.53 * step + rng.normal(0, 0.012)
        put(out, ring(rng.uniform(70, 110), 0.12, rate, 0.15), start, rate, 0.8)
        put(out, burst(rng, 300, 3_000, 0.09, rate), start, rate, rng.uniform(0.5, 0.8))
        for _ in range(40):
            low = rng.uniform(1_200, 5_000)
            put(out, burst(rng, low, 2 * low, 0.012, rate), start + 0.05 + rng.gamma(3, 0.03), rate, 0.25 * rng.lognormal(0, 0.7))
    return room(rng, out, rate, 0.3, 0.15, 0.006)


def bell(rng: Rng, rate: int) -> Wave:
    """A church bell struck twice: inharmonic partials in beating pairs, the high ones dying first."""
    out = np.zeros(int(4.5 * rate))
    partials = (0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.17, 5.43, 6.79, 8.21, 9.9)
    for start, hardness in ((0.05, 1.0), (2.3, 0.8)):
        for k, ratio in enumerate(partials):
            for side in (-1, 1):
                hz = 392 * ratio + side * rng.uniform(0.2, 1.2)
                tone = ring(hz, 9 / (1 + 0.6 * k), rate, 6, rng.uniform(0, 2 * np.pi))
                put(out, tone, start, rate, hardness * rng.uniform(0.5, 1) / (1 + 0.25 * k))
        put(out, burst(rng, 1_500, 12_000, 0.05, rate), start, rate, 1.5 * hardness)
    return room(rng, out, rate, 1.5, 0.1, 0.003)


def dog(rng: Rng, rate: int) -> Wave:
    """Seven barks of a small dog in a yard: a rough voiced source that rises and falls, through three moving resonances."""
    out = np.zeros(int(3.6 * rate))
    for start in (0.1, 0.48, 1.05, 1.4, 2.0, 2.5, 2.85):
        t = np.arange(int(rng.uniform(0.15, 0.21) * rate)) / rate
        x = t / t[-1]
        rough = 1 + 0.03 * rng.standard_normal() * np.sin(2 * np.pi * 35 * t)
        pitch = rng.uniform(420, 560) * (0.75 + 0.5 * np.sin(np.pi * x**0.7)) * rough
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        source = np.asarray(sum(np.sin(k * phase) / k**0.6 for k in range(1, 24)))
        source = source + 0.8 * rng.standard_normal(t.size) * (0.3 + x)
        voice = band(source, 600, 1_100, rate) + 0.8 * band(source, 1_300, 2_000, rate) + 0.35 * band(source, 2_800, 4_200, rate)
        put(out, voice * np.sin(np.pi * x**0.5) ** 1.5, start, rate, rng.uniform(0.7, 1))
    return room(rng, out, rate, 0.6, 0.2, 0.005)


def glass(rng: Rng, rate: int) -> Wave:
    """A pane breaks, its shards ring at 2 to 16 kHz and go on falling for two seconds."""
    out = np.zeros(int(3.2 * rate))
    put(out, burst(rng, 200, 15_000, 0.15, rate), 0.1, rate, 1.0)
    put(out, ring(140, 0.15, rate, 0.2), 0.1, rate, 0.7)
    for start in np.concatenate([rng.uniform(0.1, 0.16, 40), 0.2 + rng.gamma(1.6, 0.5, 130)]):
        gain = rng.lognormal(0, 0.6) * (0.12 if start < 0.2 else 0.10 * np.exp(-start / 2.5))
        for _ in range(3):
            put(out, ring(rng.uniform(2_000, 16_000), rng.uniform(0.05, 0.5), rate, 0.4), start, rate, gain)
        put(out, burst(rng, 3_000, 16_000, 0.01, rate), start, rate, gain)
    return room(rng, out, rate, 0.4, 0.1, 0.004)


def typing(rng: Rng, rate: int) -> Wave:
    """A mechanical keyboard in a room: press, knock on the plate, release; every sixth stroke is the space bar."""
    out = np.zeros(4 * rate)
    start, stroke = 0.1, 0
    while start < 3.8:
        large = stroke % 6 == 5
        put(out, burst(rng, 2_000, 7_000, 0.012, rate), start, rate, rng.uniform(0.4, 0.7))
        knock = rng.uniform(180, 260) if large else rng.uniform(350, 520)
        put(out, ring(knock, 0.06, rate, 0.08), start + 0.008, rate, 0.6 if large else 0.35)
        put(out, burst(rng, 800, 3_500, 0.03, rate), start + 0.008, rate, 0.8 if large else 0.5)
        put(out, burst(rng, 3_000, 9_000, 0.008, rate), start + rng.uniform(0.06, 0.09), rate, rng.uniform(0.15, 0.3))
        start, stroke = start + (rng.uniform(0.2, 0.4) if large else rng.uniform(0.09, 0.2)), stroke + 1
    return room(rng, out, rate, 0.35, 0.12, 0.006)


SOUNDS: dict[str, tuple[Callable[[Rng, int], Wave], int]] = {
    "rain": (rain, 48_000),
    "wind": (wind, 48_000),
    "engine": (engine, 44_100),
    "footsteps": (footsteps, 44_100),
    "bell": (bell, 48_000),
    "dog": (dog, 44_100),
    "glass": (glass, 48_000),
    "typing": (typing, 44_100),
}
