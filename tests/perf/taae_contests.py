"""The contest of Stable Codec. STABLE_CODEC_PACKAGES names the folder of its authors' two packages, as write_stablecodec.py wants it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from bench.tokenizers.stablecodec import SHAPES, STAGES, VARIANTS, made
from tests.parity import stablecodec_recipe, test_stablecodec, write_stablecodec
from tests.parity.wavtokenizer_recipe import sound
from tests.perf.contest import Call, Contest, same_audio

STAGE = "2x15625"
SHAPE = replace(SHAPES["speech"], depths=(2, 4))  # of the official width; of 28 layers each side takes minutes and 8 GB


def stablecodec(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """The loudness is left as it is: without its compiled part torchaudio's filters would take longer than all else."""
    if not (folder := os.environ.get("STABLE_CODEC_PACKAGES")):
        pytest.skip("name the folder of stable-audio-tools 0.0.17 and stable-codec 0.1.2 in STABLE_CODEC_PACKAGES")
    official = write_stablecodec.Official(write_stablecodec.official_modules(Path(folder).resolve()), SHAPE)
    shapes = {name: list(value.shape) for name, value in official.model.state_dict().items() if not name.endswith(".inv_freq")}
    state = stablecodec_recipe.weights(shapes, 0, [[0.0] * SHAPE.latent, [1.0] * SHAPE.latent])
    official.model.load_state_dict(state, strict=False)
    with TemporaryDirectory() as place:
        torch.save(state, Path(place) / "model.ckpt")
        mine = made(VARIANTS[STAGE].spec, SHAPE, STAGES[STAGE], Path(place) / "model.ckpt").to(device)
    official.model.to(device)
    wav = sound(batch, int(seconds * 25) * SHAPE.hop, 1).to(device)
    theirs = official.encode(wav, STAGE)
    codes = torch.cat(theirs, dim=2).transpose(1, 2)

    def encoded() -> torch.Tensor:
        return mine.quantizer.encode(mine.encoder(wav))

    def equal() -> str:
        test_stablecodec.only_ties(mine, mine.encoder(wav), encoded(), codes)
        return f"{100 * (encoded() == codes).double().mean():.3f} % of {codes.numel()} codes equal"

    calls: dict[str, Call] = {"ours": encoded, "official": lambda: official.encode(wav, STAGE)}
    yield Contest(f"stablecodec@{STAGE} encode", calls, equal)
    calls = {"ours": lambda: mine.decode(codes), "official": lambda: official.decode(theirs, STAGE)}
    yield Contest(f"stablecodec@{STAGE} decode", calls, lambda: same_audio(mine.decode(codes), official.decode(theirs, STAGE)))
