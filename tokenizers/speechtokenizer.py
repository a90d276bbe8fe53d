"""SpeechTokenizer (Zhang et al. 2024, arxiv.org/abs/2308.16692): a residual quantizer whose first codebook was taught by HuBERT.

wav [B, 1, T] at 16 kHz -> codes [B, K, ceil(T / 320)], 50 frames per second, 8 codebooks of 1,024. EnCodec's SEANet, centred and with 64
filters, and an encoder's LSTM that hears both ways: not causal. Codes equal those of the authors' code given the same weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn import encodec_names
from bench.nn.latent_codec import LatentCodec
from bench.nn.quantize import ResidualQuantizer
from bench.nn.seanet_lstm import SEANetLSTM, draw_biases
from bench.weights.files import fill, fold_weight_norm, load_state, seed_of, seeded

RATE = 16_000
SHAPES = {  # SEANet, codebooks, entries
    "16khz": (SEANetLSTM(filters=64, dimension=1024, causal=False, normed=False, bidirectional=True), 8, 1024),
    "tiny": (SEANetLSTM(filters=4, dimension=16, causal=False, normed=False, bidirectional=True), 4, 64),
}
CHECKPOINT = Checkpoint(
    "speechtokenizer_hubert_avg.pt",
    sha256="",
    url="https://huggingface.co/fnlp/SpeechTokenizer/resolve/793c3ac97eeb36463bdbb5e1d5e5e9a6b16cc656/speechtokenizer_hubert_avg/SpeechTokenizer.pt",
)


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state dict under our names, weight norm folded, without the layer that compares codes with HuBERT in training."""
    kept = {name: value for name, value in state.items() if not name.startswith("transform.")}
    return encodec_names.renamed(fold_weight_norm(kept))


def load(spec: Spec, path: Path | None = None) -> LatentCodec[ResidualQuantizer]:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    waveform, levels, size = SHAPES["tiny" if spec.variant == "tiny" else "16khz"]
    quantizer = ResidualQuantizer(levels, size, waveform.dimension, width=0)
    model = LatentCodec(spec, waveform.encoder(), quantizer, waveform.decoder(), waveform.hop, whole=False)
    if path is None:
        generator = torch.Generator().manual_seed(seed_of(spec))
        seeded(model, generator)
        draw_biases(model, generator)
        with torch.no_grad():
            quantizer.scatter(model.latents(torch.randn(1, 1, 100 * waveform.hop, generator=generator)), generator)
    else:
        fill(model, renamed(load_state(path)), path)
    return model.eval()


def variant(name: str, levels: int) -> Variant:
    """A line of VARIANTS: the first `levels` codebooks."""
    waveform, _, size = SHAPES["tiny" if name == "tiny" else "16khz"]
    checkpoint = None if name == "tiny" else CHECKPOINT
    spec = Spec(
        name="speechtokenizer",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(size, RATE / waveform.hop),) * levels,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2308.16692, https://github.com/ZhangXInFD/SpeechTokenizer",
        licence="Apache-2.0 (the code's; the weights state none)" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {
    "16khz": variant("16khz", 8),
    **{f"16khz-{levels}cb": variant(f"16khz-{levels}cb", levels) for levels in (1, 2, 4)},
    "tiny": variant("tiny", 4),
}
