"""Resampling and nothing else: the best that a codec of this rate can score. The harness resamples, the samples pass untouched."""

from bench.api import Codebook, Spec, Variant
from bench.nn.samples import SIZE, Samples

RATES = {"24khz": 24_000, "16khz": 16_000, "8khz": 8_000}


def _variant(name: str, rate: int) -> Variant:
    books = (Codebook(SIZE, float(rate)),)
    return Variant(Spec("resample", name, rate, books, causal=True, source="anchor: float32 PCM, resampled", licence="MIT"), Samples)


VARIANTS = {name: _variant(name, rate) for name, rate in RATES.items()}
