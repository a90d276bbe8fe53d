"""Random codes, a control of the codes suite: what a column says of them is what it says of nothing. Encode-only.

A code is a hash of the 20 ms of audio that it stands for, rounded to 16 bits: the same audio has the same code, in a batch, a stream or
alone, and any other, however alike, has one that knows nothing of it. Digital silence has one code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.api import Codebook, Spec, Variant

HOP = 320  # samples
SIZE = 1024
ODD = 2 * torch.randint(2**61, (HOP,), generator=torch.Generator().manual_seed(0)) + 1  # a factor for each sample of a frame
MIX = -7046029254386353131  # 2^64 / golden ratio, of the multiplicative hash (Knuth 6.4)


class RandomCodes:
    """See above; the last frame is filled up with zeros."""

    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: Tensor) -> Tensor:
        samples = (wav[:, 0] * 32_768).round().long()
        frames = torch.nn.functional.pad(samples, (0, -samples.shape[-1] % HOP)).unfold(-1, HOP, HOP)
        found = (frames * ODD.to(wav.device)).sum(-1)  # modulo 2^64, as integers wrap
        found = (found ^ (found >> 29)) * MIX
        return ((found >> 32) % SIZE)[:, None]

    def decode(self, codes: Tensor) -> Tensor:
        raise NotImplementedError("random codes hold no audio")


VARIANTS = {
    "1024": Variant(
        Spec(
            "random_codes",
            "1024",
            sample_rate=16_000,
            codebooks=(Codebook(SIZE, 16_000 / HOP),),
            causal=True,
            decodes=False,
            source="control: a hash of the samples",
            licence="MIT",
        ),
        RandomCodes,
    )
}
