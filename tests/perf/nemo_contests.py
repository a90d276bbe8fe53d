"""The contest of NanoCodec, beside NeMo's own classes out of nemo_toolkit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.tokenizers.nanocodec import CONFIGS
from tests.parity import nemo_oracle, test_nanocodec
from tests.parity.noise import swelling
from tests.perf.contest import Call, Contest, same_audio


def nanocodec(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    name, config = "0.6kbps", CONFIGS["0.6kbps"]
    official = nemo_oracle.alive(config, 0)
    with TemporaryDirectory() as folder:
        mine = test_nanocodec.ours(name, config, official, Path(folder)).to(device)
    official.to(device)
    wav = swelling((batch, 1, int(seconds * 12.5) * mine.hop), 1).to(device)
    codes = official.encode(wav)

    def equal() -> str:
        found = mine.encode(wav)
        if device == "cpu":
            test_nanocodec.only_ties(found, codes, mine, official.latents(wav))
        share = (found == codes).double().mean().item()
        assert share > 0.98, f"{share:.4%} of the codes are equal"
        return f"{100 * share:.3f} % of {codes.numel()} codes equal"

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: official.encode(wav)}
    yield Contest(f"nanocodec@{name} encode", calls, equal)
    calls = {"ours": lambda: mine.decode(codes), "official": lambda: official.decode(codes)}
    yield Contest(f"nanocodec@{name} decode", calls, lambda: same_audio(mine.decode(codes), official.decode(codes)))
