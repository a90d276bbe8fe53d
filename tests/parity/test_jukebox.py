"""Jukebox's codecs against jukebox-infer 0.1.2, the authors' code without its training: official configuration, random weights."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from bench.nn.latent_codec import LatentCodec
from bench.nn.quantize import ResidualQuantizer
from bench.tokenizers.jukebox import CONFIGS, VARIANTS, load, renamed
from tests.parity.noise import swelling
from tests.parity.ties import residual_levels, ties

NAMES = ("bottom", "middle", "top")


def alive() -> Any:
    """The authors' three codecs in one model, with random weights under which codes vary."""
    with mock.patch.dict(sys.modules, {"librosa": types.ModuleType("librosa")}):  # for reading files
        pytest.importorskip("jukebox_infer", reason="the oracle is missing: pip install --no-deps jukebox-infer==0.1.2")
        kind: Any = importlib.import_module("jukebox_infer.vqvae.vqvae").VQVAE
        numbers: Any = importlib.import_module("jukebox_infer.hparams").setup_hparams("vqvae", {"sample_length": 128 * 100})
    parts = {name: getattr(numbers, name) for name in ("width", "depth", "m_conv", "dilation_growth_rate", "dilation_cycle")}
    parts |= {name: getattr(numbers, name) for name in ("levels", "downs_t", "strides_t", "emb_width", "l_bins", "commit", "spectral")}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = kind(
            input_shape=(numbers.sample_length, 1),
            mu=numbers.l_mu,
            multispectral=numbers.multispectral,
            multipliers=numbers.hvqvae_multipliers,
            reverse_decoder_dilation=numbers.vqvae_reverse_decoder_dilation,
            **parts,
        ).eval()
        for name, value in model.named_parameters():
            if value.ndim > 1 and ".model.3." not in name:
                value.mul_(1.7)
        wav = swelling((1, 1, 25_600), 100)
        for encoder, book in zip(model.encoders, model.bottleneck.level_blocks, strict=True):
            latents = encoder(wav)[-1]
            book.k.copy_(latents.mean((0, 2)) + latents.std((0, 2)) * torch.randn(book.k.shape))
    return model


@pytest.fixture(scope="module")
def official() -> Any:
    return alive()


def latents_of(official: Any, name: str, wav: Tensor) -> Tensor:
    """What the authors' codec of that name quantizes [B, D, F]."""
    return official.encoders[CONFIGS[name].level](wav)[-1]


def ours(official: Any, name: str, folder: Path) -> LatentCodec[ResidualQuantizer]:
    path = folder / "vqvae.pth.tar"
    torch.save({"model": {f"module.{key}": value for key, value in official.state_dict().items()}, "opt": None, "step": 3}, path)
    model = load(VARIANTS[name].spec, path)
    assert isinstance(model, LatentCodec)
    return model


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_codes_and_audio_equal_the_authors(official: Any, name: str, tmp_path: Path) -> None:
    mine, config = ours(official, name, tmp_path), CONFIGS[name]
    for shape in ((2, 1, 6_000), (1, 1, 1)):
        wav = swelling(shape, 1)
        whole, level = torch.nn.functional.pad(wav, (0, -shape[-1] % config.hop)), config.level
        latents, block = latents_of(official, name, whole), official.bottleneck.level_blocks[level]
        expected, codes = block.encode(latents), mine.encode(wav)
        ties(codes, expected[:, None], residual_levels(latents, [block.k], expected[:, None]))
        theirs = official.decode([expected], start_level=level, end_level=level + 1).transpose(1, 2)
        torch.testing.assert_close(mine.decode(expected[:, None]), theirs, rtol=0, atol=1e-5)
        assert shape[-1] == 1 or (theirs.std() > 0.01 and len(codes.unique()) > 0.4 * min(codes.numel(), 500))


def test_a_stranger_in_the_file_stays_and_is_refused(official: Any) -> None:
    state = official.state_dict() | {"decoders.2.other.weight": torch.zeros(1), "other": torch.zeros(1)}
    assert {"decoder.other.weight", "other"} <= renamed(state, CONFIGS["top"]).keys()
    assert "other" in renamed(state, CONFIGS["bottom"]) and len(renamed(state, CONFIGS["bottom"])) < len(state) / 2
