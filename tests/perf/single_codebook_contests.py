"""The contests of codecs that have one codebook per frame. BIGCODEC_CHECKOUT names a checkout of BigCodec's authors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.parity import bigcodec_recipe, test_bigcodec, write_bigcodec
from tests.parity.wavtokenizer_recipe import sound
from tests.perf.contest import Call, Contest, same_audio, same_codes


def bigcodec(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    if not (checkout := os.environ.get("BIGCODEC_CHECKOUT")):
        pytest.skip("name a checkout of https://github.com/Aria-K-Alethia/BigCodec in BIGCODEC_CHECKOUT")
    facts = bigcodec_recipe.stored()["full"]
    run = facts["runs"][0]
    state = bigcodec_recipe.weights(facts["shapes"], run["seed"], run["middle"], run["spread"])
    official = write_bigcodec.Official(Path(checkout), *bigcodec_recipe.SIZES["full"]).eval()
    official.fill(state)
    with TemporaryDirectory() as folder:
        mine = test_bigcodec.model_of("full", state, Path(folder)).to(device)
    official.to(device)
    wav = sound(batch, int(seconds * 80) * bigcodec_recipe.HOP, 1).to(device)
    codes = official.encode(wav)

    def equal() -> str:
        return same_codes(mine.encode(wav), codes, [test_bigcodec.level_of(mine, wav)])

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: official.encode(wav)}
    yield Contest("bigcodec@16khz encode", calls, equal)
    calls = {"ours": lambda: mine.decode(codes), "official": lambda: official.decode(codes)}
    yield Contest("bigcodec@16khz decode", calls, lambda: same_audio(mine.decode(codes), official.decode(codes)))
