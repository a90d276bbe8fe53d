"""GLM-4-Voice's tokens against what the authors' code made of the same weights and sounds, at a small size.

glm4_voice.json holds that, written by write_glm4_voice.py. The weights go to a file under the authors' names, and through `made`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from bench.api import Codebook, UserError
from bench.tokenizers.glm4_voice import VARIANTS, made
from tests.parity.glm4_voice_recipe import SMALL, STORED, weights
from tests.parity.ties import residual_levels, ties
from tests.parity.wavtokenizer_recipe import sound

SPEC = replace(VARIANTS["12.5hz"].spec, codebooks=(Codebook(SMALL.size, 12.5),))
MODEL = "model.encoder."  # before the names in a file of the whole model, which the authors read, too


def record() -> dict:
    return json.loads(STORED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("prefix", ["", MODEL])
@torch.inference_mode()
def test_codes_equal_the_authors(prefix: str, tmp_path: Path) -> None:
    run = record()
    state = weights(run["shapes"], run["seed"], run["middle"], run["spread"])
    path = tmp_path / "model.pt"
    torch.save({prefix + name: value for name, value in state.items()}, path)
    mine = made(SPEC, SMALL, path)
    found = set[int]()
    for case in run["cases"]:
        wav, expected = sound(1, case["samples"], run["seed"]), torch.tensor(case["codes"])[None, None]
        codes = mine.encode(wav)
        assert codes.shape == expected.shape == (1, 1, -(-case["samples"] // 1280))
        ties(codes, expected, residual_levels(mine.features(wav).transpose(1, 2), [mine.centroids], expected))
        found |= set(codes.unique().tolist())
    assert len(found) > 30


@torch.inference_mode()
def test_no_frame_sees_a_later_block() -> None:
    mine = VARIANTS["tiny"].load(VARIANTS["tiny"].spec)
    encoder = mine.features.encoder  # pyright: ignore[reportAttributeAccessIssue]
    spectra = torch.randn(1, 128, 160)
    before = encoder(spectra)
    after = encoder(F.pad(spectra[..., :80], (0, 80), value=1.0))
    block = encoder.shape.block
    assert torch.equal(before[:, : 2 * block], after[:, : 2 * block]) and not torch.equal(before[:, 2 * block :], after[:, 2 * block :])


def test_a_file_that_lacks_a_tensor_is_one_line(tmp_path: Path) -> None:
    run = record()
    state = weights(run["shapes"], run["seed"], run["middle"], run["spread"])
    del state["layers.2.fc1.bias"]
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(UserError, match="does not fit this configuration"):
        made(SPEC, SMALL, tmp_path / "model.pt")
