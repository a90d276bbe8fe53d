"""The contest of LLM-Codec. LLM_CODEC_CHECKOUT names a checkout of its authors' code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.nn.snac import Snac, renamed
from bench.tokenizers.llm_codec import CONFIGS, VARIANTS, projected
from tests.parity import write_llm_codec
from tests.parity.wavtokenizer_recipe import sound
from tests.perf.contest import Call, Contest

EMBEDDING = 64  # numbers of an embedding; with LLaMA 2's 4,096 the authors' code, which projects the tables at every call, takes minutes


def llm_codec(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """At the official size, over random embeddings that are short.

    Noise is drawn anew at every decoding of the authors': audio is compared by the parity test alone.
    """
    if not (checkout := os.environ.get("LLM_CODEC_CHECKOUT")):
        pytest.skip("name a checkout of https://github.com/yangdongchao/LLM-Codec in LLM_CODEC_CHECKOUT")
    config = CONFIGS["16khz"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tables = (torch.randn(size, EMBEDDING) for size in config.sizes[:2])
        official = write_llm_codec.official_model(Path(checkout).resolve(), config, *tables)
    mine = Snac(config, VARIANTS["16khz"].spec)
    mine.load_state_dict(renamed(projected(official.state_dict()), config), strict=True)
    mine, official = mine.eval().to(device), official.to(device)
    wav = sound(batch, int(16_000 * seconds), 1).to(device)
    theirs = official.encode(wav)
    codes = write_llm_codec.columns(theirs, config.strides)

    def equal() -> str:
        share = (mine.encode(wav) == codes).double().mean().item()
        assert share > 0.998, f"{share:.4%} of the codes are equal"
        return f"{100 * share:.3f} % of {codes.numel()} codes equal"

    def as_long() -> str:
        assert mine.decode(codes).shape == official.decode(theirs).shape
        return "as long"

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: official.encode(wav)}
    yield Contest("llm_codec@16khz encode", calls, equal)
    calls = {"ours": lambda: mine.decode(codes), "official": lambda: official.decode(theirs)}
    yield Contest("llm_codec@16khz decode", calls, as_long)
