"""LLM-Codec (Yang et al. 2024, arxiv.org/abs/2406.10056): SNAC's form, whose codes are words of LLaMA 2.

wav [B, 1, T] -> codes [B, 7, n], n columns of 120 ms: one of 3,248 English words, then two and four of LLaMA 2's 32,000 subwords, each
120, 60 and 30 ms long. A codebook is LLaMA's table of embeddings through a linear layer that was learnt with the codec; what is looked
up is the result, so the tables are projected once, when the weights are read. Clips are padded to 3,840 samples, the window of the
attention. The decoder mixes in noise, of a seed that it is given with the codes.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.api import Checkpoint, Spec, Variant, sha256_of_all
from bench.nn.snac import Snac, SnacConfig, draw, renamed
from bench.nn.snac_layers import SnacNet
from bench.weights.files import fill, load_state, seed_of

WORDS, SUBWORDS = 3_248, 32_000
STRIDES = (4, 2, 1)
CONFIGS = {
    "16khz": SnacConfig(
        16_000,
        SnacNet((3, 4, 5, 8), filters=32, decoder_filters=1536, window=8),
        STRIDES,
        dimension=0,
        sizes=(WORDS, SUBWORDS, SUBWORDS),
    ),
    "tiny": SnacConfig(16_000, SnacNet((3, 4, 5, 8), filters=4, decoder_filters=64, window=8), STRIDES, dimension=0, sizes=(48, 64, 64)),
}
TABLE, WEIGHT, BIAS = ".codebook.weight", ".cb_proj.weight", ".cb_proj.bias"


def projected(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state dict with each table of embeddings and its linear layer as the codebook that they make."""
    state = dict(state)
    for stem in [name.removesuffix(WEIGHT) for name in state if name.endswith(WEIGHT)]:
        if stem + TABLE in state:  # else the file is refused, with the name of what it lacks
            state[stem + TABLE] = F.linear(state[stem + TABLE], state.pop(stem + WEIGHT), state.pop(stem + BIAS, None))
    return state


def load(spec: Spec, path: Path | None = None) -> Snac:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    return made(spec, CONFIGS[spec.variant], path)


def made(spec: Spec, config: SnacConfig, path: Path | None) -> Snac:
    """A codec of any size."""
    model = Snac(config, spec)
    if path is None:
        draw(model, torch.Generator().manual_seed(seed_of(spec)))
    else:
        fill(model, renamed(projected(load_state(path)), config), path)
    return model.eval()


# its sha256 is published nowhere that could be found: it is read from --weights PATH only
CHECKPOINT = Checkpoint("llm_codec.pth", "", "https://huggingface.co/Dongchao/2024/resolve/main/semantic_acoustic.pth")


def variant(name: str, checkpoint: Checkpoint | None = None) -> Variant:
    """A line of VARIANTS."""
    config = CONFIGS[name]
    spec = Spec(
        name="llm_codec",
        variant=name,
        sample_rate=config.sample_rate,
        codebooks=config.codebooks,
        block=config.block,
        sampled=True,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2406.10056, https://github.com/yangdongchao/LLM-Codec",
        licence="none stated; the tables of embeddings are LLaMA 2's (Llama-2-community)" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {"16khz": variant("16khz", CHECKPOINT), "tiny": variant("tiny")}
