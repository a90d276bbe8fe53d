"""AMR narrowband (3GPP TS 26.071), the codec of mobile telephones, by OpenCORE.

The byte that names the mode before each packet stands here and costs nothing.
"""

from __future__ import annotations

from bench.classical.packets import Coder, variants

SAMPLE_RATE, HOP = 8_000, 160
LAG = 40  # samples that the encoder looks ahead
MODES = {"4.75kbps": (4_750, 0), "7.95kbps": (7_950, 5), "12.2kbps": (12_200, 7)}  # bit/s, number of the mode


def _coder(rate: int, mode: int) -> Coder:
    room = -(-rate * HOP // SAMPLE_RATE // 8)
    name = "libopencore_amrnb"
    return Coder(name, name, SAMPLE_RATE, rate, HOP, LAG, room, "s16", tail=False, constant=bytes([mode << 3 | 4]))


CODERS = {name: _coder(*asked) for name, asked in MODES.items()}
VARIANTS = variants("amr", CODERS, "3GPP TS 26.071 and 26.073, OpenCORE through PyAV", "Apache-2.0", causal=True)
