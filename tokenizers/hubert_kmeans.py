"""HuBERT units (Hsu et al. 2021, arxiv.org/abs/2106.07447; as units: Lakhotia et al. 2021, arxiv.org/abs/2102.01192): encode only, 50 Hz.

wav [B, 1, T] at 16 kHz -> features of one transformer layer -> the nearest k-means centroid. Two files: the encoder, and the codebook,
which --weights replaces (`bench kmeans` fits one). Where the authors published a codebook, it is fetched and read without running it.
"""

from bench.api import Checkpoint
from bench.nn.hubert import HubertShape
from bench.nn.ssl_units import BESIDE, Family, Place

SHAPES = {
    "base": HubertShape(),
    "large": HubertShape(1024, heads=16, feedforward=4096, conv_norm="layer", conv_bias=True, pre_norm=True, normalized=True),
    "mini": HubertShape(256, heads=4, feedforward=1024, channels=128, pre_norm=True, position_kernel=32),
    "tiny": HubertShape(32, heads=2, feedforward=64, channels=32, position_kernel=16, position_groups=4),
}
HUB = "https://huggingface.co/facebook"
ENCODERS = {
    "base": Checkpoint(
        "hubert-base-ls960.bin",
        sha256="062249fffb353eab67547a2fbc129f7c31a2f459faf641b19e8fb007cc5c48ad",
        url=f"{HUB}/hubert-base-ls960/resolve/dba3bb02fda4248b6e082697eee756de8fe8aa8a/pytorch_model.bin",
        cure=BESIDE,
    ),
    "large": Checkpoint(
        "hubert-large-ll60k.bin",
        sha256="45a299050945479a68cffe2ab7a63fd08931718ba18f05a42dbb86a5164178e0",
        url=f"{HUB}/hubert-large-ll60k/resolve/1157920a9f2f87e6ce3e8b7659d7015ce4c0f104/pytorch_model.bin",
        cure=BESIDE,
    ),
}
AUTHORS = "https://dl.fbaipublicfiles.com"
CODEBOOKS = {  # as the authors' textless library states them
    "base-l6-km50": Place(
        "d01a7d5bc2c54b7b5f25f321ba525b4d230b06e3927f90bad0394198bc89f494", f"{AUTHORS}/textless_nlp/gslm/hubert/km50/km.bin"
    ),
    "base-l6-km100": Place(
        "f14a3104615485381fc489701d6761c9abbdbb0d43607cf55518a1e2891023fe",
        f"{AUTHORS}/textless_nlp/gslm/hubert/km100/km.bin",
    ),
    "base-l6-km200": Place(
        "b3c46c9cdd1707ad852dd53c359aa73942e79d53c432a9a8a419ed046408024b",
        f"{AUTHORS}/textless_nlp/gslm/hubert/km200/km.bin",
    ),
    "base-l9-km500": Place(
        "4450dcbc90aa7d0553306a4b0fafef35c9b3c840468f02969273dfbb9db89a23",
        f"{AUTHORS}/hubert/hubert_base_ls960_L9_km500.bin",
    ),
    "base-l9-km2000": Place(  # fitted to Expresso, expressive read speech
        "ae73e3cc7ea0426faf43c8bb67fc3846a0f8708232526d045a101836e8c7929f",
        f"{AUTHORS}/textless_nlp/expresso/checkpoints/hubert_base_ls960_L9_km2000_expresso.bin",
    ),
}
MINI = Checkpoint("hubert_kmeans_mini.safetensors", sha256="8d68036e1b3a7e1aa0ce1b66243a16aa4a173858fc10e155ff0970acca99c0c8")
FAMILY = Family(
    name="hubert_kmeans",
    source="https://arxiv.org/abs/2106.07447, https://github.com/facebookresearch/fairseq/tree/main/examples/hubert",
    licence="Apache-2.0 (encoder), MIT (codebook)",
    shapes=SHAPES,
    encoders=ENCODERS,
    codebooks=CODEBOOKS,
    mini=MINI,
)
BASE = ("base-l9-km500", "base-l9-km100", "base-l9-km200", "base-l9-km2000", "base-l6-km50", "base-l6-km100", "base-l6-km200")
VARIANTS = FAMILY.variants(("mini", *BASE, "large-l18-km500", "large-l18-km1000", "large-l18-km2000", "tiny"))
