"""w2v-BERT 2.0 units (Seamless Communication 2023, arxiv.org/abs/2312.05187): encode only, 50 Hz.

wav [B, 1, T] at 16 kHz -> features of one conformer layer -> the nearest k-means centroid. One file holds the encoder and the codebook,
which `bench kmeans --weights ENCODER` fits and --weights names: the authors publish no codebook, and no digest of the encoder.
"""

from bench.api import Checkpoint
from bench.nn.ssl_units import Family
from bench.nn.w2v_bert import W2vBertShape

SHAPES = {
    "600m": W2vBertShape(),
    "tiny": W2vBertShape(32, heads=2, feedforward=64, mels=20, kernel=5, before=8, after=2),
}
ENCODERS = {
    "600m": Checkpoint(
        "w2v-bert-2.0.safetensors", sha256="", url="https://huggingface.co/facebook/w2v-bert-2.0/resolve/main/model.safetensors"
    )
}
FAMILY = Family(
    name="w2vbert_kmeans",
    source="https://arxiv.org/abs/2312.05187, https://github.com/facebookresearch/seamless_communication",
    licence="MIT (encoder)",
    shapes=SHAPES,
    encoders=ENCODERS,
)
VARIANTS = FAMILY.variants(("600m-l17-km500", "600m-l17-km1000", "600m-l17-km2000", "600m-l16-km1000", "tiny"))
