"""BiCodec against what its authors' code made of the same weights and sounds, with fewer channels.

bicodec.json holds that, written by write_bicodec.py; the recipe rebuilds weights and sounds. The weights go to a file as docs/tokenizers.md
joins it, and through `load`. Codes must be equal but for proven ties.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from bench.api import UserError
from bench.nn.bicodec_names import UNUSED, renamed
from bench.tokenizers import bicodec
from bench.tokenizers.bicodec import VARIANTS, BiCodec, Config, levelled, load
from tests.parity.bicodec_recipe import CASES, LOUD, SMALL, stored, weights
from tests.parity.ties import Level, ties
from tests.parity.wavtokenizer_recipe import heard, sound

ROUGHER = 10  # times the rounding that `ties` allows by itself: some fifty layers, then 8 dimensions of many


def model_of(state: dict[str, Tensor], folder: Path, config: Config = SMALL) -> BiCodec:
    """Ours with the weights of such a file."""
    path = folder / "bicodec.safetensors"
    save_file(state, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(bicodec.CONFIGS, "16khz", config)
        return load(VARIANTS["16khz"].spec, path)


def level_of(model: BiCodec, wav: Tensor) -> Level:
    """What the codebook looks up, in float64; the authors' is not stored, ours is within rounding of it."""
    (book,) = model.quantizer.codebooks()
    given = torch.stack([levelled(clip) for clip in wav])
    unit = F.normalize(book.in_proj(model.encoder(given)).double()).transpose(1, 2)
    return Level(unit, F.normalize(book.codebook.weight.double()), torch.full(unit.shape[:2], float(ROUGHER)))


@pytest.fixture(scope="module")
def facts() -> dict:
    return stored()


@pytest.fixture(scope="module")
def model(facts: dict, tmp_path_factory) -> BiCodec:
    return model_of(weights(facts["shapes"], facts["around"]), tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: str(CASES[case]))
@torch.no_grad()
def test_codes_and_audio_equal_the_authors(facts: dict, model: BiCodec, case: int) -> None:
    made, (clips, samples) = facts["cases"][case], CASES[case]
    expected, side = torch.tensor(made["codes"])[:, None], torch.tensor(made["side"])[..., None]
    wav = sound(clips, samples, 0) * torch.tensor(LOUD)[:clips, None, None]
    codes, sent = model.encode(wav)
    assert torch.equal(sent, side)
    ties(codes, expected, [level_of(model, wav)])
    decoded = model.decode(expected, side)
    assert decoded.shape == (clips, 1, made["decoded"])
    torch.testing.assert_close(heard(decoded), torch.tensor(made["heard"]), rtol=0, atol=1e-5)
    torch.testing.assert_close(decoded.square().mean((1, 2)).sqrt(), torch.tensor(made["rms"]), rtol=1e-4, atol=0)


def test_the_weights_are_alive(facts: dict) -> None:
    codes, side = (torch.tensor(facts["cases"][0][name]) for name in ("codes", "side"))
    assert len(codes.unique()) > 0.5 * codes.numel() and len(side.unique()) > 30 and (side[0] != side[1]).any()
    assert min(rms for case in facts["cases"] for rms in case["rms"]) > 0.01


def test_what_training_alone_needs_is_left_out_and_a_stranger_is_refused(facts: dict, tmp_path: Path) -> None:
    state = weights(facts["shapes"], facts["around"])
    more = {f"{name}weight": torch.zeros(1) for name in (*UNUSED, "wav2vec2.quantizer.weight_proj.", "wav2vec2.project_hid.")}
    assert renamed(state | more, 16).keys() == renamed(state, 16).keys()
    with pytest.raises(UserError, match="does not fit"):
        model_of(state | {"prenet.other.weight": torch.zeros(1)}, tmp_path)


@pytest.mark.parametrize("loud", [0.0, 0.3, 1.0, 1.8])
def test_every_clip_comes_to_one_loudness(loud: float) -> None:
    clip = loud * sound(1, 16_000, 3)[0] / 0.4
    sizes = levelled(clip).abs().flatten().sort().values
    assert sizes[-1] <= 1
    if loud:
        sizes = sizes[sizes > 0.01]
        assert abs(float(sizes[int(0.9 * len(sizes)) : int(0.99 * len(sizes))].mean()) - 0.2) < 0.03
