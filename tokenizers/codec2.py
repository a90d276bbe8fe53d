"""Codec2 (David Rowe), a parametric speech codec of 0.7 to 3.2 kbit/s at 8 kHz, by libcodec2 from the wheel of pycodec2.

A code is a field of the frame's bit layout (a voicing flag, a pitch, an energy, a line spectral pair ...), so the codebooks'
rates add up to the exact bitrate. The library's decoder draws its noise from a generator that is global to the process and
cannot be seeded: two decodes of the same frames differ. So every clip is decoded by a private copy of the library, which starts
as a fresh process would.
"""

from __future__ import annotations

import _ctypes
import ctypes
import importlib.metadata
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.api import Codebook, Spec, UserError, Variant

SAMPLE_RATE = 8_000
_LSP_SCALAR = (4, 4, 4, 4, 4, 4, 4, 3, 3, 2)  # ten line spectral frequencies
_LSP_DELTA = (5,) * 10  # the same as differences


@dataclass(frozen=True)
class Mode:
    """A bitrate of Codec2."""

    number: int  # CODEC2_MODE_* of codec2.h
    hop: int  # samples per frame
    fields: tuple[int, ...]  # bits of each field, in the order of the stream (codec2.c), spare ones last
    delay: int = 160  # samples by which decode lags encode


MODES = {
    "3200bps": Mode(0, 160, (1, 1, 7, 5, *_LSP_DELTA)),  # voicing x 2, pitch, energy, LSPs
    "2400bps": Mode(1, 160, (1, 1, 8, *_LSP_SCALAR, 2)),  # voicing x 2, pitch with energy, LSPs, spare
    "1600bps": Mode(2, 320, (1, 1, 7, 5, 1, 1, 7, 5, *_LSP_SCALAR)),  # twice (voicing x 2, pitch, energy), LSPs
    "1300bps": Mode(4, 320, (1, 1, 1, 1, 7, 5, *_LSP_SCALAR)),  # voicing x 4, pitch, energy, LSPs
    "1200bps": Mode(5, 320, (1, 1, 8, 1, 1, 8, 9, 9, 9, 1)),  # twice (voicing x 2, pitch with energy), LSPs in three stages, spare
    "700c": Mode(8, 320, (9, 9, 4, 6), delay=240),  # spectrum in two stages, energy, pitch with voicing
}


def _library_file() -> Path:
    try:
        files = importlib.metadata.files("pycodec2") or []
    except importlib.metadata.PackageNotFoundError:
        raise UserError("codec2 needs pycodec2: pip install 'audio-tokenizer-bench[codec2]'") from None
    for file in files:
        if file.name.startswith(("libcodec2", "codec2")) and file.suffix != ".pxd":
            return Path(str(file.locate()))
    raise UserError("codec2 needs pycodec2's wheel, which carries libcodec2: pip install --force-reinstall --only-binary=:all: pycodec2")


@contextmanager
def _fresh_library(source: Path) -> Iterator[ctypes.CDLL]:
    """A copy of libcodec2 that no one has used."""
    with tempfile.TemporaryDirectory() as folder:
        library = ctypes.CDLL(shutil.copy(source, folder))
        library.codec2_create.restype = ctypes.c_void_p
        for function in (library.codec2_encode, library.codec2_decode):
            function.argtypes, function.restype = [ctypes.c_void_p] * 3, None
        library.codec2_destroy.argtypes, library.codec2_destroy.restype = [ctypes.c_void_p], None
        try:
            yield library
        finally:
            _ctypes.dlclose(library._handle)


class Codec2:
    """A fresh coder for each clip, since its state runs on from frame to frame."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.mode = MODES[spec.variant]
        self.library = _library_file()
        self.bytes = math.ceil(sum(self.mode.fields) / 8)

    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T], clipped to 16 bits -> codes [B, K, F]."""
        frames = math.ceil(wav.shape[-1] / self.mode.hop)
        padded = torch.nn.functional.pad(wav, (0, frames * self.mode.hop - wav.shape[-1]))
        pcm = (padded * 32767).round().clamp(-32768, 32767).to(torch.int16).cpu()
        return torch.stack([self._encode(clip[0]) for clip in pcm]).to(wav.device)

    def _encode(self, pcm: Tensor) -> Tensor:
        pcm = pcm.reshape(-1, self.mode.hop)
        packed = torch.zeros(len(pcm), self.bytes, dtype=torch.uint8)
        self._work("codec2_encode", packed, pcm)
        bits = (packed.long()[..., None] >> torch.arange(7, -1, -1) & 1).flatten(1)  # the first bit of the stream is a byte's highest
        fields = bits[:, : sum(self.mode.fields)].split(self.mode.fields, dim=1)
        return torch.stack([(field << torch.arange(field.shape[1] - 1, -1, -1)).sum(1) for field in fields])

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, F] -> wav [B, 1, F x hop], lagging by spec.delay."""
        rows = len(self.mode.fields)
        if codes.ndim != 3 or codes.shape[1] != rows or codes.dtype != torch.int64:
            raise ValueError(f"codes must be [B, {rows}, F] int64, got {tuple(codes.shape)} {codes.dtype}")
        pcm = torch.stack([self._decode(clip) for clip in codes.cpu()])
        return (pcm[:, None].float() / 32767).to(codes.device)

    def _decode(self, codes: Tensor) -> Tensor:
        bits = torch.cat([row[:, None] >> torch.arange(size - 1, -1, -1) & 1 for row, size in zip(codes, self.mode.fields, strict=True)], 1)
        bits = torch.nn.functional.pad(bits, (0, 8 * self.bytes - bits.shape[1])).reshape(-1, self.bytes, 8)
        packed = (bits << torch.arange(7, -1, -1)).sum(-1).to(torch.uint8)
        pcm = torch.zeros(len(packed), self.mode.hop, dtype=torch.int16)
        self._work("codec2_decode", pcm, packed)
        return pcm.flatten()

    def _work(self, function: str, into: Tensor, source: Tensor) -> None:
        """Runs codec2_encode or codec2_decode row by row; it is the library that writes `into`."""
        assert into.is_contiguous() and source.is_contiguous()  # the library walks plain memory
        with _fresh_library(self.library) as library:
            coder = library.codec2_create(self.mode.number)
            for row, given in zip(into, source, strict=True):
                getattr(library, function)(coder, row.data_ptr(), given.data_ptr())
            library.codec2_destroy(coder)


def _variant(name: str, mode: Mode) -> Variant:
    books = tuple(Codebook(2**bits, SAMPLE_RATE / mode.hop) for bits in mode.fields)
    source = "rowetel.com/codec2.html, libcodec2 through pycodec2"
    return Variant(Spec("codec2", name, SAMPLE_RATE, books, causal=True, delay=mode.delay, source=source, licence="LGPL-2.1"), Codec2)


VARIANTS = {name: _variant(name, mode) for name, mode in MODES.items()}
