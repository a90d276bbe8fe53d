"""The contest of SpectroStream, beside the authors' JAX code in a process of its own (tests/parity/spectrostream_oracle.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from torch.nn import functional as F

from bench.tokenizers.spectrostream import OFFICIAL
from tests.parity import spectrostream_recipe, test_spectrostream
from tests.parity.spectrostream_oracle import official
from tests.parity.ties import residual_levels
from tests.perf.contest import Call, Contest, same_audio, same_codes

LEVELS = OFFICIAL.levels  # what their encoder quantizes, however few are wanted


def spectrostream(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    if device != "cpu":
        pytest.skip("the authors' code runs on the CPU here")
    facts = test_spectrostream.RECORD["full"]
    run = facts["runs"][0]
    state = spectrostream_recipe.weights(facts["shapes"], run["seed"], run["facts"])
    with TemporaryDirectory() as folder, official() as theirs:
        mine = test_spectrostream.loaded(OFFICIAL, LEVELS, state, Path(folder))
        theirs.load(OFFICIAL, state)
        wav = spectrostream_recipe.sound(batch, int(seconds * 25) * mine.shape.hop, 1)
        codes = theirs.run("encode", wav)["codes"][:, :LEVELS]

        def equal() -> str:
            books = [book.vectors()[0] for book in mine.quantizer.codebooks()[:LEVELS]]
            return same_codes(mine.encode(wav), codes, residual_levels(mine.latents(F.pad(wav, (0, mine.shape.step))), books, codes))

        calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": theirs.seconds}
        yield Contest("spectrostream@16kbps encode", calls, equal)
        audio = theirs.run("decode", codes)["ended"]  # the frames that theirs decodes, and one more
        calls = {"ours": lambda: mine.decode(codes), "official": theirs.seconds}
        yield Contest("spectrostream@16kbps decode", calls, lambda: same_audio(mine.decode(codes), audio))
