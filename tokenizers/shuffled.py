"""The lower bound of every table: a perfect copy of ANOTHER clip."""

import math

from bench.api import Codebook, Spec, Variant
from bench.nn.samples import SIZE, Samples

VARIANTS = {
    "float32": Variant(
        Spec(
            "shuffled",
            "float32",
            sample_rate=None,
            codebooks=(Codebook(SIZE, math.nan),),
            causal=True,
            shuffled=True,  # the harness hands over the other clip; nothing here knows of it
            source="anchor: float32 PCM of another clip",
            licence="MIT",
        ),
        Samples,
    )
}
