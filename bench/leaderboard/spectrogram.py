"""A waveform -> a picture of its log-mel spectrogram, as PNG bytes with a palette of 32 colours, small enough for a page of a hundred."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import torch
from torch import Tensor

from bench.data.audio import resample

RATE = 32_000  # Hz: the picture ends at 16 kHz
WINDOW, BANDS, COLUMNS = 1024, 96, 320
RANGE = 80.0  # dB below full scale that black stands for
LEVELS = 32
_ANCHORS = ((0, 0, 4), (40, 17, 89), (114, 31, 129), (183, 55, 121), (241, 96, 93), (254, 176, 120), (252, 253, 191))  # dark to light


def png(wav: Tensor, sample_rate: int) -> bytes:
    """wav [T] -> a picture of COLUMNS x BANDS, low tones below. Silence is black whatever else is there: levels are absolute."""
    return _png(_levels(resample(wav[None], sample_rate, RATE)[0]))


def _levels(wav: Tensor) -> np.ndarray:
    """wav [T] at RATE -> [BANDS, COLUMNS] uint8 below LEVELS, the highest band first."""
    centres = torch.linspace(0, max(0, len(wav) - 1), COLUMNS).long()
    frames = torch.nn.functional.pad(wav, (WINDOW // 2, WINDOW // 2))[centres[:, None] + torch.arange(WINDOW)]
    power = torch.fft.rfft(frames * torch.hann_window(WINDOW)).abs().square() / (WINDOW / 4) ** 2
    db = 10 * torch.log10(power @ _bands() + 1e-12)
    return ((db / RANGE + 1).clamp(0, 1) * (LEVELS - 1)).round().to(torch.uint8).T.flip(0).numpy()


def _bands() -> Tensor:
    """[WINDOW // 2 + 1, BANDS]: triangles that are even on the mel scale (O'Shaughnessy), each with the peak 1."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    edges = np.maximum(edges, np.arange(BANDS + 2) * RATE / WINDOW)  # no band is narrower than a bin
    bins = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    rise = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return torch.from_numpy(np.clip(np.minimum(rise, fall), 0, None)).float()


def _png(levels: np.ndarray) -> bytes:
    height, width = levels.shape
    steps = np.linspace(0, len(_ANCHORS) - 1, LEVELS)
    palette = np.stack([np.interp(steps, range(len(_ANCHORS)), channel) for channel in zip(*_ANCHORS, strict=True)], axis=1)
    lines = np.concatenate([np.zeros((height, 1), dtype=np.uint8), levels], axis=1)  # each line is filtered by nothing
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, content)
        for kind, content in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", palette.round().astype(np.uint8).tobytes()),
            (b"IDAT", zlib.compress(lines.tobytes(), 9)),
            (b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
