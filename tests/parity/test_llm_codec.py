"""LLM-Codec against what its authors' code made of the same weights, sounds and noise, at a small size.

llm_codec.json holds that, written by write_llm_codec.py. The weights go to a file as the authors store them, and through `made`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.api import UserError
from bench.nn.snac import Snac
from bench.tokenizers.llm_codec import VARIANTS, made
from tests.parity.llm_codec_recipe import SMALL, STORED, weights
from tests.parity.ties import Level, ties
from tests.parity.wavtokenizer_recipe import heard, sound

RECORD = json.loads(STORED.read_text(encoding="utf-8"))
CASES = [pytest.param(case, id=f"{case['clips']}x{case['samples']}") for case in RECORD["cases"]]
ANGLES = tuple(f"{place}.rel_pos.inv_freq" for place in ("encoder.block.5", "decoder.model.2"))  # stored, though it follows


def loaded(folder: Path, without: str = "") -> Snac:
    spec = replace(VARIANTS["16khz"].spec, codebooks=SMALL.codebooks)
    state = weights(RECORD["shapes"], RECORD["seed"], RECORD["around"])
    state |= dict.fromkeys(ANGLES, 10_000.0 ** (-torch.arange(0, 64, 2).float() / 64))
    torch.save({"codec_model": {name: value for name, value in state.items() if name != without}, "epoch": 1}, folder / "model.pth")
    return made(spec, SMALL, folder / "model.pth")


def only_ties(mine: Snac, wav: Tensor, codes: Tensor, expected: Tensor) -> None:
    """Each level has before it what the expected codes of the levels before leave over."""
    rest, levels = mine.encoder(F.pad(wav, (0, -wav.shape[-1] % SMALL.block))), mine.quantizer
    parts = (x.split(levels.columns, dim=1) for x in (codes, expected))
    for level, stride, found, right in zip(levels.codebooks(), levels.strides, *parts, strict=True):
        points = F.normalize(F.avg_pool1d(rest, stride).double(), dim=1).transpose(1, 2)
        found, right = (x.transpose(1, 2).flatten(1) for x in (found, right))
        # shorter than what it is left of: its rounding is that of all before
        ties(found[:, None], right[:, None], [Level(points, F.normalize(level.codebook.weight.double()), 10 * points.norm(dim=-1))])
        rest = rest - level.vectors(right).repeat_interleave(stride, dim=-1)


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_codes_and_audio_equal_the_authors(case: dict, tmp_path: Path) -> None:
    expected, mine = torch.tensor(case["codes"]), loaded(tmp_path)
    wav = sound(case["clips"], case["samples"], RECORD["seed"])
    codes = mine.encode(wav)
    assert codes.shape == expected.shape
    only_ties(mine, wav, codes, expected)
    audio = mine.decode(expected, range(1, case["clips"] + 1))
    assert audio.shape == (case["clips"], 1, case["decoded"])
    torch.testing.assert_close(heard(audio), torch.tensor(case["heard"]), rtol=0, atol=1e-5)
    levels = expected.split(mine.quantizer.columns, dim=1)
    assert case["samples"] < 16_000 or (all(len(level.unique()) > 15 for level in levels) and 0.02 < audio.std() < 0.3)


def test_words_and_subwords_have_the_rates_that_the_paper_states() -> None:
    spec = VARIANTS["16khz"].spec
    assert [sum(1 for book in spec.codebooks if book.table == f"level {i}") * spec.frame_rate for i in range(3)] == pytest.approx(
        [8.33, 16.67, 33.33], abs=0.01
    )
    assert [book.size for book in spec.codebooks] == [3248] + 6 * [32_000]
    assert round(spec.bitrate) == 846


@pytest.mark.parametrize("name", ["decoder.model.4.block.3.block.1.bias", "quantizer.quantizers.1.codebook.weight"])
def test_a_file_that_lacks_a_tensor_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not fit this configuration"):
        loaded(tmp_path, without=name)
