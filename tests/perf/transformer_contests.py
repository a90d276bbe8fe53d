"""The contests of codecs made of transformers, at their official sizes.

ESC_CHECKOUT names a checkout of ESC's authors, VOXTRAL_WHEEL the wheel of vllm-omni 0.30.0 (tests/parity/write_voxtral.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import Tensor

from bench.tokenizers import esc as esc_codec
from bench.tokenizers import voxtral as voxtral_codec
from tests.parity import esc_recipe, test_esc, test_voxtral, voxtral_recipe, write_esc, write_voxtral
from tests.parity.wavtokenizer_recipe import sound
from tests.perf.contest import Call, Contest, same_audio


def esc(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    if not (checkout := os.environ.get("ESC_CHECKOUT")):
        pytest.skip("name a checkout of https://github.com/yzGuu830/efficient-speech-codec in ESC_CHECKOUT")
    config, spec = esc_codec.KINDS["base"], esc_codec.VARIANTS["base-9kbps"].spec
    official = write_esc.official_model(Path(checkout).resolve(), config)
    shapes, books = write_esc.fill(official)
    with TemporaryDirectory() as folder:
        torch.save(esc_recipe.weights(shapes, write_esc.SEED, books), Path(folder) / "model.pth")
        mine = esc_codec.made(spec, config, Path(folder) / "model.pth").to(device)
    official.to(device)
    wav, levels = sound(batch, int(seconds * 50) * esc_codec.HOP, 1).to(device), len(config.widths)
    theirs, shape = official.encode(wav[:, 0], levels)
    codes = theirs.flatten(1, 2)

    def equal() -> str:
        found = mine.encode(wav)
        test_esc.only_ties(mine, wav, found, codes)
        return f"{100 * (found == codes).double().mean():.3f} % of {codes.numel()} codes equal"

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: official.encode(wav[:, 0], levels)}
    yield Contest("esc@base-9kbps encode", calls, equal)
    calls = {"ours": lambda: mine.decode(codes), "official": lambda: official.decode(theirs, shape)}
    yield Contest("esc@base-9kbps decode", calls, lambda: same_audio(mine.decode(codes)[:, 0], official.decode(theirs, shape)))


def voxtral(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """With an encoder, whose weights nobody has. Theirs encodes clip by clip."""
    if not (wheel := os.environ.get("VOXTRAL_WHEEL")):
        pytest.skip("name the wheel of vllm-omni 0.30.0 in VOXTRAL_WHEEL")
    config, spec = voxtral_codec.CONFIGS["24khz"], voxtral_codec.VARIANTS["24khz"].spec
    official = write_voxtral.official_model(*write_voxtral.sources(Path(wheel)), config)
    facts = write_voxtral.fill(official, config)
    with TemporaryDirectory() as folder:
        torch.save(voxtral_recipe.weights(**facts), Path(folder) / "model.pt")
        mine = voxtral_codec.made(spec, config, Path(folder) / "model.pt").to(device)
    official.to(device)
    wav = sound(batch, max(1, int(seconds * 12.5)) * config.hop, 1).to(device)
    codes = write_voxtral.encode(official, wav)

    def equal() -> str:
        found = mine.encode(wav)
        test_voxtral.only_ties(mine, wav, found, codes)
        return f"{100 * (found == codes).double().mean():.3f} % of {codes.numel()} codes equal"

    def decoded() -> Tensor:
        return official.decode(codes, dtype=torch.float32)

    def same() -> str:
        expected = decoded()
        loudest = expected.abs().max()  # of random weights: it is past full scale
        return same_audio(mine.decode(codes) / loudest, expected / loudest)

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: write_voxtral.encode(official, wav)}
    yield Contest("voxtral@24khz encode", calls, equal)
    calls = {"ours": lambda: mine.decode(codes), "official": decoded}
    yield Contest("voxtral@24khz decode", calls, same)
