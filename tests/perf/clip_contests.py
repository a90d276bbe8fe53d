"""The contests of TiCodec and Jukebox. TICODEC_CHECKOUT names a checkout of TiCodec's authors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from torch import Tensor

from bench.tokenizers.jukebox import CONFIGS
from tests.parity import test_jukebox, test_ticodec, ticodec_recipe, write_ticodec
from tests.parity.noise import swelling
from tests.parity.ties import residual_levels
from tests.parity.wavtokenizer_recipe import sound
from tests.perf.contest import Call, Contest, Contests, same_audio, same_codes


def ticodec(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    if not (checkout := os.environ.get("TICODEC_CHECKOUT")):
        pytest.skip("name a checkout of https://github.com/y-ren16/TiCodec in TICODEC_CHECKOUT")
    facts = ticodec_recipe.stored()
    state = ticodec_recipe.weights(facts["shapes"], facts["around"])
    official = write_ticodec.Official(Path(checkout), ticodec_recipe.LEVELS).eval()
    official.fill(state)
    with TemporaryDirectory() as folder:
        mine = test_ticodec.model_of(ticodec_recipe.LEVELS, state, Path(folder)).to(device)
    official.to(device)
    wav = sound(batch, int(seconds * 75) * ticodec_recipe.HOP, 1).to(device)
    theirs, side = official.encode(wav)
    codes, vector = theirs.transpose(1, 2), side.transpose(1, 2)

    def equal() -> str:
        books = [book.vectors()[0] for book in mine.quantizer.codebooks()]
        return same_codes(mine.encode(wav)[0], codes, residual_levels(official.latents(wav)[0], books, codes))

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: official.encode(wav)}
    yield Contest("ticodec@4cb encode", calls, equal)
    calls = {"ours": lambda: mine.decode(codes, vector), "official": lambda: official.decode(theirs, side)}
    yield Contest("ticodec@4cb decode", calls, lambda: same_audio(mine.decode(codes, vector), official.decode(theirs, side)))


def jukebox(name: str) -> Contests:
    """One of the three."""

    def contests(batch: int, seconds: float, device: str) -> Iterator[Contest]:
        config, official = CONFIGS[name], test_jukebox.alive()
        with TemporaryDirectory() as folder:
            mine = test_jukebox.ours(official, name, Path(folder)).to(device)
        official.to(device)
        wav = swelling((batch, 1, int(seconds * 344) * 128), 1).to(device)
        encoder, block = official.encoders[config.level], official.bottleneck.level_blocks[config.level]
        codes = block.encode(encoder(wav)[-1])

        def equal() -> str:
            levels = residual_levels(encoder(wav)[-1], [block.k], codes[:, None])
            return same_codes(mine.encode(wav), codes[:, None], levels)

        def decoded() -> Tensor:
            return official.decode([codes], start_level=config.level, end_level=config.level + 1).transpose(1, 2)

        calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: block.encode(encoder(wav)[-1])}
        yield Contest(f"jukebox@{name} encode", calls, equal)
        calls = {"ours": lambda: mine.decode(codes[:, None]), "official": decoded}
        yield Contest(f"jukebox@{name} decode", calls, lambda: same_audio(mine.decode(codes[:, None]), decoded()))

    return contests
