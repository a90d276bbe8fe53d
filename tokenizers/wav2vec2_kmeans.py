"""wav2vec 2.0 units (Baevski et al. 2020, arxiv.org/abs/2006.11477): encode only, 50 Hz.

wav [B, 1, T] at 16 kHz -> features of one transformer layer -> the nearest k-means centroid. Two files: the encoder, and the codebook,
which `bench kmeans` fits and --weights names: the authors publish none.
"""

from bench.api import Checkpoint
from bench.nn.hubert import HubertShape
from bench.nn.ssl_units import BESIDE, Family

SHAPES = {
    "base": HubertShape(),
    "tiny": HubertShape(32, heads=2, feedforward=64, channels=32, position_kernel=16, position_groups=4),
}
ENCODERS = {
    "base": Checkpoint(
        "wav2vec2-base.bin",
        sha256="3249fe98bfc62fcbc26067f724716a6ec49d12c4728a2af1df659013905dff21",
        url="https://huggingface.co/facebook/wav2vec2-base/resolve/0b5b8e868dd84f03fd87d01f9c4ff0f080fecfe8/pytorch_model.bin",
        cure=BESIDE,
    ),
}
FAMILY = Family(
    name="wav2vec2_kmeans",
    source="https://arxiv.org/abs/2006.11477, https://github.com/facebookresearch/fairseq/tree/main/examples/wav2vec",
    licence="Apache-2.0 (encoder)",
    shapes=SHAPES,
    encoders=ENCODERS,
)
VARIANTS = FAMILY.variants(("base-l6-km500", "base-l6-km50", "base-l6-km100", "base-l6-km200", "tiny"))
