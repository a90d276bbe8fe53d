"""SpeechTokenizer against its authors' code (speechtokenizer 1.0.1), at the official configuration with shared random weights."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest
import torch

from bench.nn.latent_codec import LatentCodec
from bench.nn.quantize import ResidualQuantizer
from bench.tokenizers.speechtokenizer import SHAPES, VARIANTS, renamed
from tests.parity.test_encodec import enliven, noise
from tests.parity.ties import residual_levels, ties

CONFIG = {  # config.json of the released model
    "n_filters": 64,
    "dimension": 1024,
    "semantic_dimension": 768,
    "strides": [8, 5, 4, 2],
    "lstm_layers": 2,
    "bidirectional": True,
    "dilation_base": 2,
    "residual_kernel_size": 3,
    "n_residual_layers": 1,
    "activation": "ELU",
    "sample_rate": 16_000,
    "n_q": 8,
    "codebook_size": 1024,
}


def authors() -> Any:
    """The authors' class; their package also imports a trainer, which no test here needs, so a stand-in takes its place."""
    if importlib.util.find_spec("speechtokenizer") is None:
        pytest.skip("the oracle is missing: pip install --no-deps speechtokenizer beartype einops")
    trainer = ModuleType("speechtokenizer.trainer")
    trainer.SpeechTokenizerTrainer = object  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "speechtokenizer.trainer", trainer)
        return importlib.import_module("speechtokenizer.model").SpeechTokenizer


@torch.no_grad()
def alive(seed: int) -> Any:
    """The authors' model with random weights under which codes vary."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = authors()(CONFIG).eval()
        wav = noise((1, 1, 32_000), seed + 100)
        enliven(model, [(layer._codebook, layer._codebook.quantize) for layer in model.quantizer.vq.layers], wav)
    return model


def ours(model: Any) -> LatentCodec[ResidualQuantizer]:
    waveform, levels, size = SHAPES["16khz"]
    quantizer = ResidualQuantizer(levels, size, waveform.dimension, width=0)
    mine = LatentCodec(VARIANTS["16khz"].spec, waveform.encoder(), quantizer, waveform.decoder(), waveform.hop, whole=False)
    mine.load_state_dict(renamed(model.state_dict()), strict=True)
    return mine.eval()


@pytest.mark.parametrize("seed", (0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))))
@torch.no_grad()
def test_codes_and_audio_equal_the_authors(seed: int) -> None:
    model = alive(seed)
    mine = ours(model)
    books = [codebook.vectors()[0] for codebook in mine.quantizer.codebooks()]
    for shape in ((1, 1, 16_000), (3, 1, 9_999), (1, 1, 319)):
        wav = noise(shape, seed)
        expected = model.encode(wav).transpose(0, 1)
        codes = mine.encode(wav)
        assert codes.shape == expected.shape == (shape[0], 8, -(-shape[-1] // 320))
        ties(codes, expected, residual_levels(model.encoder(wav), books, expected))
        torch.testing.assert_close(mine.decode(expected), model.decode(expected.transpose(0, 1)), rtol=0, atol=1e-5)
        assert shape[-1] < 1000 or len(codes.unique()) > 100


@pytest.mark.slow
@torch.no_grad()
def test_fewer_codebooks_decode_as_the_authors_do() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = authors()(CONFIG).eval()
        wav = noise((1, 1, 16_000), 100)
        enliven(model, [(layer._codebook, layer._codebook.quantize) for layer in model.quantizer.vq.layers], wav)
    waveform, levels, size = SHAPES["16khz"]
    for count in (1, 2, 4):
        quantizer = ResidualQuantizer(levels, size, waveform.dimension, width=0)
        mine = LatentCodec(VARIANTS[f"16khz-{count}cb"].spec, waveform.encoder(), quantizer, waveform.decoder(), 320, whole=False)
        mine.load_state_dict(renamed(model.state_dict()), strict=True)
        mine.eval()
        expected = model.encode(wav, n_q=count)
        torch.testing.assert_close(mine.decode(expected.transpose(0, 1)), model.decode(expected), rtol=0, atol=1e-5)
