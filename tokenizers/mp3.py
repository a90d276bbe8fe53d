"""MP3 (MPEG-1 and MPEG-2 Layer III) by LAME at constant bitrates, decoded by FFmpeg.

Low rates take low sample rates, as LAME's own presets do.
"""

from __future__ import annotations

from bench.classical.packets import Coder, variants

LAG = 1105  # samples that encoder (576 and 1) and decoder (528) lag by together
HEADER = 4  # bytes; a packet of Layer III is its header, its tables and what the reservoir of bits leaves of its frame


def _coder(rate: int, sample_rate: int) -> Coder:
    hop = 1152 if sample_rate >= 32_000 else 576  # MPEG-2 halves it
    return Coder("libmp3lame", "mp3float", sample_rate, rate, hop, LAG, HEADER + hop * rate // (8 * sample_rate), "fltp")


CODERS = {"16kbps": _coder(16_000, 16_000), "32kbps": _coder(32_000, 24_000), "64kbps": _coder(64_000, 48_000)}
VARIANTS = variants("mp3", CODERS, "ISO/IEC 11172-3 and 13818-3, LAME through PyAV", "LGPL-2.0-or-later", causal=False)
