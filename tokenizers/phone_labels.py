"""Phone labels as codes, the ceiling of the codes suite: which phone is spoken, 150 times a second, and nothing else. Encode-only.

No tokenizer can know them. The suite takes them from the alignments of its clips and puts them in the place of the codes, which are 0 here;
suites that read no alignments refuse it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.api import Codebook, Spec, Variant

HOP = 160  # samples: an odd multiple of the 50 moments a second at which the suite asks, so that a frame has its middle there


class PhoneLabels:
    """As many codes as there are labels."""

    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: Tensor) -> Tensor:
        return torch.zeros(len(wav), 1, -(-wav.shape[-1] // HOP), dtype=torch.int64, device=wav.device)

    def decode(self, codes: Tensor) -> Tensor:
        raise NotImplementedError("phone labels hold no audio")


VARIANTS = {
    "150hz": Variant(
        Spec(
            "phone_labels",
            "150hz",
            sample_rate=24_000,
            codebooks=(Codebook(128, 24_000 / HOP),),
            causal=True,
            decodes=False,
            labelled=True,
            source="control: the alignments of the clips",
            licence="MIT",
        ),
        PhoneLabels,
    )
}
