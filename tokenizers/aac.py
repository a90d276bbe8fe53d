"""AAC-LC (MPEG-4) by FFmpeg's own encoder, without ADTS headers. It is no match for the best encoders of AAC at low rates."""

from __future__ import annotations

from bench.classical.packets import Coder, variants

HOP = 1024
ROOM = 768  # bytes: the standard allows a channel 6,144 bits a packet


def _coder(rate: int, sample_rate: int) -> Coder:
    return Coder("aac", "aac", sample_rate, rate, HOP, HOP, ROOM, "fltp", configured=True)


CODERS = {"16kbps": _coder(16_000, 16_000), "32kbps": _coder(32_000, 32_000), "64kbps": _coder(64_000, 48_000)}
VARIANTS = variants("aac", CODERS, "ISO/IEC 14496-3, FFmpeg's encoder through PyAV", "LGPL-2.1-or-later", causal=False)
