"""NeuCodec (Julian et al. 2025, arxiv.org/abs/2509.09550): X-codec2's form with a decoder at 24 kHz.

wav [B, 1, T] at 16 kHz -> codes [B, 1, floor(T / 320)], at least one, 50 frames per second, one code of 65,536 -> wav [B, 1, F * 480] at
24 kHz. Not causal. w2v-BERT hears no margin, and so a frame less than the other encoder: the last T mod 320 samples are lost.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.finite_scalar import FiniteScalarQuantizer
from bench.nn.latent_codec import LatentCodec
from bench.nn.semantic_snake import TINY, SemanticSnake, drawn, renamed
from bench.nn.transformer_vocos import TransformerVocos
from bench.weights.files import filled_or_drawn

RATE, OUTPUT_RATE = 16_000, 24_000
STEP = 480  # samples per frame that decode gives
CONFIGS = {
    "24khz": SemanticSnake(margin=0, vocos=TransformerVocos(step=STEP)),
    "tiny": replace(TINY, margin=0, vocos=replace(TINY.vocos, step=STEP)),
}


def load(spec: Spec, path: Path | None = None) -> LatentCodec[FiniteScalarQuantizer]:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[spec.variant]
    return filled_or_drawn(config.model(spec), spec, path, lambda state: renamed(state, config), drawn)


# its digest is published nowhere that could be found: it is read from --weights PATH only
CHECKPOINT = Checkpoint("neucodec.bin", sha256="", url="https://huggingface.co/neuphonic/neucodec/resolve/main/pytorch_model.bin")


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], None if name == "tiny" else CHECKPOINT
    spec = Spec(
        name="neucodec",
        variant=name,
        sample_rate=RATE,
        output_rate=OUTPUT_RATE,
        codebooks=(Codebook(config.codes, RATE / config.acoustic.hop),),
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2509.09550, https://github.com/neuphonic/neucodec",
        licence="Apache-2.0" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
