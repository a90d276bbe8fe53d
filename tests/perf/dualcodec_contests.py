"""The contests of DualCodec, beside the authors' code in float32. Oracles and lively weights are those of the parity test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parity import dualcodec_oracle, test_dualcodec
from tests.parity.wavtokenizer_recipe import sound
from tests.perf.contest import Call, Contest, Contests, same_audio


def dualcodec(name: str) -> Contests:
    """Those of a DualCodec. Both sides run w2v-BERT; theirs computes all of its layers, here one more than is asked for."""

    def contests(batch: int, seconds: float, device: str) -> Iterator[Contest]:
        if device != "cpu":
            pytest.skip("the oracle is built for a CPU")
        with tempfile.TemporaryDirectory() as folder:
            official = test_dualcodec.alive(name, False, Path(folder))
            mine = test_dualcodec.ours(name, False, test_dualcodec.joined(official), Path(folder))
        wav, levels = sound(batch, int(seconds * 12.5) * 1920, 1), len(mine.spec.codebooks)
        codes = dualcodec_oracle.encode(official, wav, levels)

        def equal() -> str:
            return f"{test_dualcodec.same_codes(official, mine, wav)[1]} ties among {codes.numel()} codes"

        calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: dualcodec_oracle.encode(official, wav, levels)}
        yield Contest(f"dualcodec@{name} encode", calls, equal)
        calls = {"ours": lambda: mine.decode(codes), "official": lambda: dualcodec_oracle.decode(official, codes)}
        yield Contest(f"dualcodec@{name} decode", calls, lambda: same_audio(mine.decode(codes), dualcodec_oracle.decode(official, codes)))

    return contests
