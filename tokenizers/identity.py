"""The upper bound of every table: the clip itself, at its own rate, bit for bit. A score that is not perfect here is the metric's fault."""

import math

from bench.api import Codebook, Spec, Variant
from bench.nn.samples import SIZE, Samples

VARIANTS = {
    "float32": Variant(
        Spec(
            "identity",
            "float32",
            sample_rate=None,
            codebooks=(Codebook(SIZE, math.nan),),  # one code a sample, at whatever rate the clip has
            causal=True,
            source="anchor: float32 PCM",
            licence="MIT",
        ),
        Samples,
    )
}
