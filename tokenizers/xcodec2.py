"""X-codec2 (Ye et al. 2025, arxiv.org/abs/2502.04128): one code per frame of what a waveform encoder and w2v-BERT 2.0 hear together.

wav [B, 1, T] at 16 kHz -> codes [B, 1, floor(T / 320) + 1], 50 frames per second, one code of 65,536: eight numbers of four steps each. Not
causal. As the authors' code does, encode fills T up with zeros to whole frames, and adds a frame of zeros where T is whole frames already.
"""

from __future__ import annotations

from pathlib import Path

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.finite_scalar import FiniteScalarQuantizer
from bench.nn.latent_codec import LatentCodec
from bench.nn.semantic_snake import TINY, SemanticSnake, drawn, renamed
from bench.weights.files import filled_or_drawn

RATE = 16_000
CONFIGS = {"16khz": SemanticSnake(), "tiny": TINY}


def load(spec: Spec, path: Path | None = None) -> LatentCodec[FiniteScalarQuantizer]:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[spec.variant]
    return filled_or_drawn(config.model(spec), spec, path, lambda state: renamed(state, config), drawn)


# its digest is published nowhere that could be found: it is read from --weights PATH only
CHECKPOINT = Checkpoint("xcodec2.safetensors", sha256="", url="https://huggingface.co/HKUSTAudio/xcodec2/resolve/main/model.safetensors")


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], None if name == "tiny" else CHECKPOINT
    spec = Spec(
        name="xcodec2",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.codes, RATE / config.acoustic.hop),),
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2502.04128, https://github.com/zhenye234/X-Codec-2.0",
        licence="CC-BY-NC-4.0" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
