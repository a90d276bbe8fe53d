"""WavLM units (Chen et al. 2021, arxiv.org/abs/2110.13900): encode only, 50 Hz.

wav [B, 1, T] at 16 kHz -> features of one transformer layer -> the nearest k-means centroid. Two files: the encoder, and the codebook,
which `bench kmeans` fits and --weights names: the authors publish none.
"""

from bench.api import Checkpoint
from bench.nn.hubert import HubertShape
from bench.nn.ssl_units import BESIDE, Family

SHAPES = {
    "base-plus": HubertShape(buckets=320),
    "large": HubertShape(1024, heads=16, feedforward=4096, conv_norm="layer", pre_norm=True, normalized=True, buckets=320),
    "tiny": HubertShape(
        32,
        heads=2,
        feedforward=64,
        channels=32,
        conv_norm="layer",
        pre_norm=True,
        normalized=True,
        position_kernel=16,
        position_groups=4,
        buckets=32,
        max_distance=80,
    ),
}
HUB = "https://huggingface.co/microsoft"
ENCODERS = {
    "base-plus": Checkpoint(
        "wavlm-base-plus.bin",
        sha256="3bb273a6ace99408b50cfc81afdbb7ef2de02da2eab0234e18db608ce692fe51",
        url=f"{HUB}/wavlm-base-plus/resolve/4c66d4806a428f2e922ccfa1a962776e232d487b/pytorch_model.bin",
        cure=BESIDE,
    ),
    "large": Checkpoint(
        "wavlm-large.bin",
        sha256="fdee460e529396ddb2f8c8e8ce0ad74cfb747b726bc6f612e666c7c1e1963c9d",
        url=f"{HUB}/wavlm-large/resolve/c1423ed94bb01d80a3f5ce5bc39f6026a0f4828c/pytorch_model.bin",
        cure=BESIDE,
    ),
}
FAMILY = Family(
    name="wavlm_kmeans",
    source="https://arxiv.org/abs/2110.13900, https://github.com/microsoft/unilm/tree/master/wavlm",
    licence="CC-BY-SA-3.0 (encoder)",
    shapes=SHAPES,
    encoders=ENCODERS,
    tiny_layer=2,
)
VARIANTS = FAMILY.variants(("large-l23-km500", "large-l23-km1000", "large-l23-km2000", "base-plus-l9-km500", "base-plus-l9-km2000", "tiny"))
