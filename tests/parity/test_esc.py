"""ESC against what the authors' code made of the same weights and sounds, at a small size.

esc.json holds that, written by write_esc.py. The weights go to a file under the authors' names, and through `made`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.api import Codebook, UserError
from bench.tokenizers.esc import PARTS, VARIANTS, Esc, made
from tests.parity.esc_recipe import SMALL, STORED, weights
from tests.parity.ties import Level, ties
from tests.parity.wavtokenizer_recipe import heard, sound

RECORD = json.loads(STORED.read_text(encoding="utf-8"))
CASES = [pytest.param(case, id=f"{case['clips']}x{case['samples']}-{len(case['codes'][0])}") for case in RECORD["cases"]]


def loaded(levels: int, folder: Path, without: str = "") -> Esc:
    spec = replace(VARIANTS["base-9kbps"].spec, codebooks=(Codebook(SMALL.size, 50.0),) * (PARTS * levels))
    state = weights(RECORD["shapes"], RECORD["seed"], RECORD["books"])
    state |= dict.fromkeys(("ft.window", "ift.window", "encoder.pre_nn.swint_blocks.0.attn.relative_position_index"), torch.ones(1))
    torch.save({name: value for name, value in state.items() if name != without}, folder / "model.pth")
    return made(spec, SMALL, folder / "model.pth")


def only_ties(mine: Esc, wav: Tensor, codes: Tensor, expected: Tensor) -> None:
    """Each level has before it what the expected codes of the levels before make."""
    maps, quantizer = mine.maps(wav), mine.quantizer
    x = torch.zeros_like(maps[0])
    pairs = zip(quantizer.levels(), codes.split(PARTS, 1), expected.split(PARTS, 1), strict=False)
    for i, (level, found, right) in enumerate(pairs):
        for m, (book, piece) in enumerate(zip(level.codebooks(), level.pieces(maps[max(i - 1, 0)] - x), strict=True)):
            points = F.normalize(book.in_proj(piece).double(), dim=1).transpose(1, 2)
            directions = F.normalize(book.codebook.weight.double(), dim=1)
            ties(found[:, m : m + 1], right[:, m : m + 1], [Level(points, directions, 10 * points.norm(dim=-1))])
        x = x + level.decode(right)
        x = quantizer.steps[i - 1](x) if i else x


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_codes_and_audio_equal_the_authors(case: dict, tmp_path: Path) -> None:
    expected = torch.tensor(case["codes"])
    mine = loaded(expected.shape[1] // PARTS, tmp_path)
    wav = sound(case["clips"], case["samples"], RECORD["seed"])
    codes = mine.encode(wav)
    assert codes.shape == expected.shape
    only_ties(mine, wav, codes, expected)
    audio = mine.decode(expected)
    assert audio.shape == (case["clips"], 1, case["decoded"])
    torch.testing.assert_close(heard(audio), torch.tensor(case["heard"]), rtol=0, atol=1e-5)
    assert case["samples"] < 16_000 or (all(len(level.unique()) > 8 for level in codes.unbind(1)) and audio.std() > 0.02)


@torch.no_grad()
def test_patches_are_convolved_as_the_map_that_they_make() -> None:
    decoder = VARIANTS["tiny"].load(VARIANTS["tiny"].spec).decoder  # pyright: ignore[reportAttributeAccessIssue]
    x = torch.randn(2, 64, 24, 6)
    found = decoder(x)
    with torch.backends.mkldnn.flags(enabled=False):
        expected = decoder(x)
    assert found.shape == expected.shape == (2, 2, 192, 48)
    torch.testing.assert_close(found, expected)


def test_a_file_that_lacks_a_tensor_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not fit this configuration"):
        loaded(2, tmp_path, without="decoder.blocks.1.swint_blocks.1.mlp.linear_2.bias")
