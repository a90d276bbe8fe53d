"""Classical coders of FFmpeg, through PyAV, as tokenizers: their bitrates are counted from the bytes and never from the request.

A frame of codes is a packet: row 0 holds its length in bytes, the rows below its bytes, then zeros. No container: what a decoder needs
beside the packets is the same for every clip of a setting, and so is no part of the codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import torch
from torch import Tensor

from bench.api import Codebook, Spec, UserError, Variant

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

FULL_SCALE = 32767


@dataclass(frozen=True)
class Coder:
    """An encoder and a decoder of FFmpeg, and what is asked of them."""

    encoder: str
    decoder: str
    sample_rate: int
    bit_rate: int  # bit/s, a request
    hop: int  # samples of a packet
    skip: int  # samples that decode lags by, dropped
    room: int  # bytes that a packet may have; the codes hold no larger one
    sample_format: Literal["flt", "fltp", "s16"] = "flt"  # that the encoder takes
    options: tuple[tuple[str, str], ...] = ()
    tail: bool = True  # it keeps packets back until it is told that no more samples come
    constant: bytes = b""  # that every packet begins with: no part of the codes
    configured: bool = False  # its decoder needs what the encoder says of the setting; told more than it needs, Opus' skips twice

    def context(self, mode: Literal["r", "w"]) -> AudioCodecContext:
        """A new encoder ("w") or decoder ("r"), which remembers no clip. UserError where PyAV or its coder is missing."""
        name = self.encoder if mode == "w" else self.decoder
        try:
            from av.audio.codeccontext import AudioCodecContext
            from av.codec.codec import UnknownCodecError
        except ImportError:
            raise UserError(f"{name} needs PyAV: pip install 'audio-tokenizer-bench[opus]'") from None
        try:
            context = cast(AudioCodecContext, AudioCodecContext.create(name, mode))
        except UnknownCodecError:
            raise UserError(f"this PyAV is built without {name}; the wheels of PyPI have it: pip install --force-reinstall av") from None
        context.sample_rate, context.layout = self.sample_rate, "mono"
        if mode == "r":
            context.options = {"request_sample_fmt": "flt"}
            return context
        context.format, context.bit_rate, context.options = self.sample_format, self.bit_rate, dict(self.options)
        return context


class Packets:
    """One encoder or decoder a clip: neither remembers the clip before."""

    def __init__(self, spec: Spec, coder: Coder) -> None:
        self.spec, self.coder = spec, coder
        encoder = coder.context("w")
        encoder.open()
        self.configuration = encoder.extradata if coder.configured else None  # the same for every clip
        coder.context("r")  # says here, before a run starts, what is missing

    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> codes [B, 1 + room, F]; the last packets flush the encoder's lag, so decode gives all T samples."""
        hop, length = self.coder.hop, wav.shape[-1]
        frames = math.ceil((length + (0 if self.coder.tail else self.coder.skip)) / hop)
        padded = torch.nn.functional.pad(wav, (0, frames * hop - length)).cpu()
        return torch.stack([self._encode(clip) for clip in padded]).to(wav.device)

    def _encode(self, clip: Tensor) -> Tensor:
        from av import AudioFrame

        coder, context = self.coder, self.coder.context("w")
        packets: list[bytes] = []
        for start in range(0, clip.shape[-1], coder.hop):
            samples = clip[:, start : start + coder.hop].numpy()
            if coder.sample_format == "s16":
                samples = (samples.clip(-1, 1) * FULL_SCALE).round().astype(np.int16)
            frame = AudioFrame.from_ndarray(samples, coder.sample_format, "mono")
            frame.sample_rate, frame.pts = coder.sample_rate, start
            packets += [bytes(packet) for packet in context.encode(frame)]
        if coder.tail:
            packets += [bytes(packet) for packet in context.encode(None)]
        else:
            assert len(packets) * coder.hop == clip.shape[-1]  # a whole frame gives its packet at once
        if not all(packet.startswith(coder.constant) for packet in packets):
            raise ValueError(f"a packet of {coder.encoder} does not begin with {coder.constant!r}")
        packets = [packet[len(coder.constant) :] for packet in packets]
        largest = max(map(len, packets))
        if largest > coder.room:
            raise ValueError(f"a packet of {largest} bytes; codes of {self.spec.label} have room for {coder.room}")
        rows = [len(packet).to_bytes(2, "little") + packet.ljust(coder.room, b"\0") for packet in packets]
        table = torch.frombuffer(bytearray(b"".join(rows)), dtype=torch.uint8).reshape(len(rows), -1).long().T
        return torch.cat([table[:1] + 256 * table[1:2], table[2:]])

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, 1 + room, F] -> wav [B, 1, F x hop - skip]."""
        rows = len(self.spec.codebooks)
        if codes.ndim != 3 or codes.shape[1] != rows or codes.dtype != torch.int64:
            raise ValueError(f"codes must be [B, {rows}, F] int64, got {tuple(codes.shape)} {codes.dtype}")
        return torch.stack([self._decode(clip) for clip in codes.cpu()])[:, None, self.coder.skip :].to(codes.device)

    def _decode(self, codes: Tensor) -> Tensor:
        from av import Packet

        context = self.coder.context("r")
        if self.configuration:
            context.extradata = self.configuration
        audio = []
        for column in codes.T:
            packet = Packet(self.coder.constant + bytes(column[1 : 1 + int(column[0])].tolist()))
            audio += [_floats(frame.to_ndarray()[0]) for frame in context.decode(packet)]
        return torch.cat(audio)

    def packed_bits(self, codes: Tensor) -> int:
        """Bits of the packets of one clip, codes [1, K, F]."""
        return 8 * int(codes[:, 0].sum())


def _floats(samples: np.ndarray) -> Tensor:
    """Samples [T] of a decoder as float32 in [-1, 1]."""
    found = torch.from_numpy(samples.astype(np.float32))
    return found / (FULL_SCALE + 1) if samples.dtype == np.int16 else found


def variants(family: str, coders: dict[str, Coder], source: str, licence: str, causal: bool) -> dict[str, Variant]:
    """The variants of a family, by name."""

    def variant(name: str, coder: Coder) -> Variant:
        books = (Codebook(coder.room + 1, math.nan),) + (Codebook(256, math.nan),) * coder.room
        spec = Spec(family, name, coder.sample_rate, books, causal=causal, source=source, licence=licence)
        return Variant(spec, lambda spec: Packets(spec, coder))

    return {name: variant(name, coder) for name, coder in coders.items()}
