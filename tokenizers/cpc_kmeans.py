"""Units of contrastive predictive coding (Rivière et al. 2020, arxiv.org/abs/2002.02848; as units: Nguyen et al. 2020,
arxiv.org/abs/2011.11588, Lakhotia et al. 2021, arxiv.org/abs/2102.01192): encode only, 100 Hz.

wav [B, 1, T] at 16 kHz -> features of one layer of an LSTM -> the nearest k-means centroid. Two files: the encoder, and the codebook,
which --weights replaces. `big` is CPC-big of the ZeroSpeech 2021 baseline, with the codebooks of GSLM; `base` is the size of the authors'
own code, whose checkpoint is given by hand.
"""

from bench.api import Checkpoint
from bench.nn.cpc import HOP, CpcShape
from bench.nn.ssl_units import BESIDE, Family, Place

SHAPES = {"big": CpcShape(512, 512), "base": CpcShape(), "tiny": CpcShape(32, 32)}
AUTHORS = "https://dl.fbaipublicfiles.com"
ENCODERS = {
    "big": Checkpoint(
        "cpc_big_ll6kh_top_ctc.pt",
        sha256="73155dad5d7c986fe7b7f548050060a8e9cc9a0ffd111a22932f38c3e617c5b8",
        url=f"{AUTHORS}/textless_nlp/gslm/cpc/cpc_big_ll6kh_top_ctc.pt",
        cure=BESIDE,
    ),
    "base": Checkpoint("60k_epoch4-d0f474de.pt", sha256="", url=f"{AUTHORS}/librilight/CPC_checkpoints/60k_epoch4-d0f474de.pt"),
}
SHA256 = {  # of the codebooks, as the authors' textless library states them
    50: "c48be5717aebc08169aa5165d58267449b8c8568624a346bb9f4b26eac3b0240",
    100: "077b96e010b1e87be627ef2bef0f5e5cdaa1c01722aa363b2dc0bb6a638e8b26",
    200: "2d863d1c6f251d19e667998248c87642ecb5e3ffaa410e9ebfa64341db4f6de2",
    500: "35398f665dff06801a7bf1e595bc176711ed751d554e64d999dc42f1dd106561",
}
FAMILY = Family(
    name="cpc_kmeans",
    source="https://arxiv.org/abs/2002.02848, https://arxiv.org/abs/2011.11588, https://github.com/facebookresearch/CPC_audio",
    licence="MIT",
    shapes=SHAPES,
    encoders=ENCODERS,
    codebooks={f"big-l2-km{size}": Place(digest, f"{AUTHORS}/textless_nlp/gslm/cpc/km{size}/km.bin") for size, digest in SHA256.items()},
    hop=HOP,
)
VARIANTS = FAMILY.variants((*FAMILY.codebooks, "base-l1-km50", "tiny"))
