"""The contests of X-codec2 and NeuCodec. Oracles and lively weights are those of the parity test."""

from __future__ import annotations

from collections.abc import Iterator

from tests.parity import test_xcodec2
from tests.parity.wavtokenizer_recipe import sound
from tests.perf.contest import Call, Contest, Contests, same_audio


def semantic_snake(kind: str) -> Contests:
    """Those of X-codec2 or NeuCodec, beside transformers' port. Features of w2v-BERT are computed by both sides."""

    def contests(batch: int, seconds: float, device: str) -> Iterator[Contest]:
        port = test_xcodec2.alive(kind, False, 0)
        mine, port = test_xcodec2.ours(kind, False, port).to(device), port.to(device)
        wav = sound(batch, int(seconds * 50) * 320, 1).to(device)
        codes = test_xcodec2.official_encode(kind, port, wav)

        def equal() -> str:
            return f"{test_xcodec2.same_but_for_ties(mine, wav, codes)} ties among {codes.numel()} codes"

        calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "transformers": lambda: test_xcodec2.official_encode(kind, port, wav)}
        yield Contest(f"{kind} encode", calls, equal)
        calls = {"ours": lambda: mine.decode(codes), "transformers": lambda: port.decode(codes)}
        yield Contest(f"{kind} decode", calls, lambda: same_audio(mine.decode(codes), port.decode(codes).audio_values))

    return contests
