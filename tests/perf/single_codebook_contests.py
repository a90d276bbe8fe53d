"""The contests of codecs that have one codebook per frame.

BIGCODEC_CHECKOUT names a checkout of BigCodec's authors, BICODEC_CHECKOUT one of BiCodec's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.tokenizers.bicodec import CONFIGS, HOP
from tests.parity import bicodec_recipe, bigcodec_recipe, test_bicodec, test_bigcodec, write_bicodec, write_bigcodec
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


def bicodec(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """At the official size. Theirs encodes clip by clip, and computes a layer of wav2vec 2.0 that nobody asks for; in use, eight."""
    if not (checkout := os.environ.get("BICODEC_CHECKOUT")) or device != "cpu":
        pytest.skip("name a checkout of https://github.com/SparkAudio/Spark-TTS in BICODEC_CHECKOUT; its loudness is numpy's")
    config = CONFIGS["16khz"]
    official = write_bicodec.Official(Path(checkout), config).eval()
    state = bicodec_recipe.weights(official.shapes(), write_bicodec.book_facts(official))
    official.fill(state)
    with TemporaryDirectory() as folder:
        mine = test_bicodec.model_of(state, Path(folder), config)
    wav = sound(batch, int(seconds * 50) * HOP + 80, 1)  # theirs leaves out a last frame that lacks these
    clips = wav[:, 0].split(1)
    theirs, voices = official.encode(clips)
    codes, side = theirs[:, None], voices.transpose(1, 2).long()

    def equal() -> str:
        found, sent = mine.encode(wav)
        voice = f"{int((sent != side).sum())} of {side.numel()} side codes differ"
        return f"{same_codes(found, codes, [test_bicodec.level_of(mine, wav)])}, {voice}"

    def same() -> str:
        return same_audio(mine.decode(codes, side), official.model.detokenize(theirs, voices))

    yield Contest("bicodec@16khz encode", {"ours": lambda: mine.encode(wav), "official": lambda: official.encode(clips)}, equal)
    calls: dict[str, Call] = {"ours": lambda: mine.decode(codes, side), "official": lambda: official.model.detokenize(theirs, voices)}
    yield Contest("bicodec@16khz decode", calls, same)
