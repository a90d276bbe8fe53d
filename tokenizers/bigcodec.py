"""BigCodec (Xin et al. 2024, arxiv.org/abs/2409.05377): one codebook, behind convolutions and an LSTM ten times as large as usual.

wav [B, 1, T] at 16 kHz -> codes [B, 1, ceil(T / 200)], 80 frames per second, one codebook of 8,192, looked up by direction in 8 dimensions.
DAC's network with an activation that does not alias and an LSTM on both sides; not causal. T is filled up with zeros to whole frames. The
authors' script adds a whole frame of zeros where T is one already; their model is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn import dac_names
from bench.nn.anti_aliased import anti_aliased_snake
from bench.nn.factorised import FactorisedQuantizer
from bench.nn.latent_codec import LatentCodec
from bench.nn.random_weights import centre
from bench.nn.seanet_lstm import draw_biases
from bench.nn.snake import SnakeNet
from bench.weights.files import fill, fold_weight_norm, load_state, renamed_by, seed_of, seeded

RATE = 16_000


@dataclass(frozen=True)
class Config:
    """All numbers of a BigCodec."""

    waveform: SnakeNet = SnakeNet((2, 2, 2, 5, 5), filters=48, complete=True, activation=anti_aliased_snake, lstm=2)
    size: int = 8192
    dimension: int = 8  # of the codebook's vectors

    def model(self, spec: Spec) -> LatentCodec[FactorisedQuantizer]:
        """The codec without weights."""
        shape = self.waveform
        quantizer = FactorisedQuantizer(1, self.size, self.dimension, shape.dimension)
        return LatentCodec(spec, shape.encoder(), quantizer, shape.decoder(), shape.hop, whole=True)


TINY = SnakeNet((2, 2, 2, 5, 5), filters=2, dimension=16, decoder_filters=64, complete=True, activation=anti_aliased_snake, lstm=2)
CONFIGS = {"16khz": Config(), "tiny": Config(TINY, size=64, dimension=4)}
PARTS = {"CodecEnc": "encoder", "generator": "decoder"}  # of the authors' file -> what our names begin with
NAMES = (  # pattern in those parts -> what dac_names and we call it
    (r"^decoder\.quantizer\.layers\.(\d+)\._codebook\.", r"quantizer.layers.\1.codebook."),
    (r"^decoder\.quantizer\.", "quantizer."),
    (r"\.lstm\.", "."),
    (r"\.upsample\.filter$", ".up"),
    (r"\.downsample\.lowpass\.filter$", ".down"),
)


def renamed(state: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The authors' state dicts of both parts under our names, weight norm folded; projections of vectors are convolutions of one tap."""
    named = {renamed_by(NAMES, name): value for name, value in fold_weight_norm(state).items()}
    named = {name: value[..., None] if "_proj.weight" in name and value.ndim == 2 else value for name, value in named.items()}
    return dac_names.renamed(named, len(config.waveform.rates))


def load(spec: Spec, path: Path | None = None) -> LatentCodec[FactorisedQuantizer]:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[spec.variant]
    model = config.model(spec)
    if path is None:
        generator = torch.Generator().manual_seed(seed_of(spec))
        seeded(model, generator)
        draw_biases(model, generator)
        with torch.no_grad():
            for name, value in model.named_parameters():
                if name.endswith((".alpha", ".beta")):
                    value.copy_(torch.randn(value.shape, generator=generator) / 2)
                elif name.endswith("3.weight") or "out_proj" in name:  # what residual units add is a part
                    value.mul_(0.3)
        centre(model, generator)
    else:
        fill(model, renamed(load_state(path, PARTS), config), path)
    return model.eval()


# its digest is published nowhere that could be found: it is read from --weights PATH only
CHECKPOINT = Checkpoint("bigcodec.pt", sha256="", url="https://huggingface.co/Alethia/BigCodec/resolve/main/bigcodec.pt")


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], None if name == "tiny" else CHECKPOINT
    spec = Spec(
        name="bigcodec",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / config.waveform.hop),),
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2409.05377, https://github.com/Aria-K-Alethia/BigCodec",
        licence="MIT" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
