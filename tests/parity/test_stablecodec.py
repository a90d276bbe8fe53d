"""Stable Codec against what its authors' code made of the same weights and sounds, at a small size.

stablecodec.json holds that, written by write_stablecodec.py. The weights go to a file under the authors' names, and through `made`. The
published configuration is behind the gate of the weights: what is compared is the code at the numbers of the paper, with SnakeBeta and
without.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.api import UserError
from bench.nn.taae import Decoder, Encoder
from bench.tokenizers.stablecodec import LUFS, SHAPES, STAGES, VARIANTS, StableCodec, levelled, loudness, made
from tests.parity.stablecodec_recipe import SMALL, STORED, weights
from tests.parity.wavtokenizer_recipe import heard, sound

RECORD = json.loads(STORED.read_text(encoding="utf-8"))
RUNS = {run["snake"]: run for run in RECORD["runs"]}
CASES = [
    pytest.param(snake, case, id=f"{'snake-' * snake}{case['stages']}-{case['clips']}x{case['samples']}")
    for snake, run in RUNS.items()
    for case in run["cases"]
]
CLOSE = 2e-5  # of a step: so far apart are latents of sums in another order
ROPE = {"encoder.layers.1.layers.2.1.rope.inv_freq": torch.ones(32)}  # stored, though it follows


def loaded(snake: bool, stages: str, folder: Path, without: str = "") -> StableCodec:
    state = weights(RUNS[snake]["shapes"], RECORD["seed"], RUNS[snake]["around"]) | ROPE
    torch.save({"state_dict": {name: value for name, value in state.items() if name != without}}, folder / "model.ckpt")
    return made(VARIANTS[stages].spec, replace(SMALL[snake], snake=False), STAGES[stages], folder / "model.ckpt")


def only_ties(mine: StableCodec, latents: Tensor, codes: Tensor, expected: Tensor) -> None:
    """A code that differs is of a number halfway between two steps, or follows one in the stages before."""
    quantizer, parted = mine.quantizer, torch.zeros_like(codes[:, 0], dtype=torch.bool)
    rest = latents.transpose(1, 2).double().tanh()
    stages = zip(quantizer.scales, quantizer.widths, quantizer.steps, quantizer.places, strict=True)
    for (scale, width, steps, places), code, right in zip(stages, codes.unbind(1), expected.unbind(1), strict=True):
        between = ((rest + scale) / width) % 1 - 0.5
        digits = [x[..., None] // places % steps for x in (code, right)]
        wrong = (digits[0] != digits[1]) & ~parted[..., None] & ~(between.abs() * width <= CLOSE)
        assert not wrong.any(), f"{wrong.sum()} digits differ, no tie: {(between.abs() * width)[wrong].max():.1e} from the middle"
        parted |= code != right
        rest = rest - (digits[1] * width - scale)
    assert parted.sum() <= max(1, codes.numel() // 200), "more than ties"


@pytest.mark.parametrize(("snake", "case"), CASES)
@torch.inference_mode()
def test_codes_and_audio_equal_the_authors(snake: bool, case: dict, tmp_path: Path) -> None:
    expected, mine = torch.tensor(case["codes"]), loaded(snake, case["stages"], tmp_path)
    wav = sound(case["clips"], case["samples"], RECORD["seed"])
    whole = torch.nn.functional.pad(wav, (0, -wav.shape[-1] % 640))
    peaks = torch.stack([levelled(clip).abs().max() for clip in whole])
    torch.testing.assert_close(peaks, torch.tensor(case["peak"]), rtol=1e-6, atol=0)
    codes = mine.encode(wav)
    assert codes.shape == expected.shape
    only_ties(mine, mine.latents(whole), codes, expected)
    audio = mine.decode(expected)
    assert audio.shape == (case["clips"], 1, case["decoded"])
    torch.testing.assert_close(heard(audio), torch.tensor(case["heard"]), rtol=0, atol=1e-5)
    assert case["samples"] < 16_000 or (all(len(level.unique()) > 50 for level in codes.unbind(1)) and audio.std() > 0.02)


@pytest.mark.parametrize(("gain", "ends"), [(0.001, None), (0.03, LUFS), (0.5, LUFS)])
def test_a_clip_is_brought_to_one_loudness_and_silence_is_not(gain: float, ends: float | None) -> None:
    wav = gain * sound(1, 48_000, 3)[0]
    found = levelled(wav)
    if ends is None:
        assert torch.equal(found, wav)
    else:
        assert loudness(found[0]) == pytest.approx(ends, abs=1e-3)


def test_a_clip_that_would_be_clipped_is_softer() -> None:
    wav = 0.003 * sound(1, 48_000, 3)[0]
    wav[0, 20_000] = 0.5
    assert levelled(wav).abs().max() == pytest.approx(0.95)


def test_the_paper_counts_as_many_parameters() -> None:
    with torch.device("meta"):
        halves = Encoder(SHAPES["speech"]), Decoder(SHAPES["speech"])
    assert sum(value.numel() for half in halves for value in half.parameters()) == pytest.approx(950e6, rel=0.005)


@pytest.mark.parametrize("name", ["decoder.layers.2.layers.0.1.ff_scale.scale", "encoder.layers.1.layers.0.beta"])
def test_a_file_that_lacks_a_tensor_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not fit this configuration"):
        loaded(True, "1x46656", tmp_path, without=name)
