"""X-codec against transformers 5.23.0 (XcodecModel), at the official configuration with shared random weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.tokenizers.xcodec import CONFIGS, VARIANTS, build, renamed
from tests.parity.test_encodec import noise
from tests.parity.ties import residual_levels, ties


@torch.no_grad()
def alive(seed: int) -> Any:
    """transformers' model with random weights under which codes vary."""
    transformers = pytest.importorskip("transformers")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.XcodecModel(transformers.XcodecConfig()).eval()
        for name, value in model.named_parameters():
            if "acoustic_encoder" in name and name.endswith("weight"):
                value.mul_(2)
            elif name == "acoustic_decoder.conv2.weight":
                value.mul_(0.2)  # audio within full scale, as trained weights give it
            elif name.endswith("bias"):
                value.normal_(0, 0.05)
        rest = latents(model, noise((1, 1, 32_000), seed + 100)).transpose(1, 2).flatten(0, 1)
        for level in model.quantizer.quantizers:
            book = level.codebook
            book.embed.copy_(rest.mean(0) + 0.4 * rest.std(0) * torch.randn(book.embed.shape))
            book.embed_avg.copy_(torch.randn(book.embed.shape))  # nobody may read it
            rest = rest - book.embed[book.quantize(rest)]
    return model


def latents(model: Any, wav: torch.Tensor) -> torch.Tensor:
    """What transformers' model quantizes [B, D, F], for whole frames of wav."""
    semantic = model.encoder_semantic(model._extract_semantic_features(wav).transpose(1, 2))
    return model.fc(torch.cat([model.acoustic_encoder(wav), semantic], dim=1).transpose(1, 2)).transpose(1, 2)


@pytest.mark.parametrize("seed", (0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))))
@torch.no_grad()
def test_codes_and_audio_equal_transformers(seed: int) -> None:
    model = alive(seed)
    mine = build(VARIANTS["hubert"].spec)
    mine.load_state_dict(renamed(model.state_dict(), CONFIGS["hubert"]), strict=True)
    mine.eval()
    books = [layer.codebook.embed for layer in model.quantizer.quantizers]
    for shape in ((1, 1, 16_000), (3, 1, 9_999), (1, 1, 321)):
        wav = noise(shape, seed)
        whole = torch.nn.functional.pad(wav, (0, -shape[-1] % 320))
        expected, codes = model.encode(whole).audio_codes, mine.encode(wav)
        assert codes.shape == expected.shape == (shape[0], 8, -(-shape[-1] // 320))
        ties(codes, expected, residual_levels(latents(model, whole), books, expected))
        torch.testing.assert_close(mine.decode(expected), model.decode(expected).audio_values, rtol=0, atol=1e-5)
        assert shape[-1] < 1000 or len(codes.unique()) > 100
