"""BigCodec against what its authors' code made of the same weights and sounds: at their configuration (slow), and with fewer channels.

bigcodec.json holds that, written by write_bigcodec.py; the recipe rebuilds weights and sounds. The weights go to a file under the authors'
names, and through `load`. Codes must be equal but for proven ties.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.api import UserError
from bench.nn.factorised import FactorisedQuantizer
from bench.nn.latent_codec import LatentCodec
from bench.tokenizers import bigcodec
from bench.tokenizers.bigcodec import CONFIGS, VARIANTS, Config, load
from tests.parity.bigcodec_recipe import CASES, HOP, SEEDS, SIZES, stored, weights
from tests.parity.ties import Level, ties
from tests.parity.wavtokenizer_recipe import heard, sound

RUNS = [("small", seed) for seed in SEEDS["small"]] + [pytest.param(("full", seed), marks=pytest.mark.slow) for seed in SEEDS["full"]]
ROUGHER = 3  # times the rounding that `ties` allows by itself: 8 dimensions keep little of a latent's length


def config(size: str) -> Config:
    """Ours of that size."""
    if size == "full":
        return CONFIGS["16khz"]
    filters, dimension, decoder_filters, codes = SIZES[size]
    tiny = CONFIGS["tiny"].waveform
    shape = replace(tiny, filters=filters, dimension=dimension, decoder_filters=decoder_filters)
    return Config(shape, codes)


def model_of(size: str, state: dict[str, dict[str, Tensor]], folder: Path) -> LatentCodec[FactorisedQuantizer]:
    """Ours with the weights of an authors' file, which holds more than is needed."""
    path = folder / "bigcodec.pt"
    torch.save(state | {"discriminator": {"weight": torch.zeros(3)}, "epoch": 7}, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(bigcodec.CONFIGS, "16khz", config(size))
        model = load(VARIANTS["16khz"].spec, path)
    path.unlink()  # 640 MB
    return model


@pytest.fixture(scope="module", params=RUNS, ids=str)
def pair(request, tmp_path_factory) -> Iterator[tuple[dict, LatentCodec[FactorisedQuantizer]]]:
    """(what the authors' code gave, our model with the same weights)."""
    size, seed = request.param
    facts = stored()[size]
    run = next(run for run in facts["runs"] if run["seed"] == seed)
    yield run, model_of(size, weights(facts["shapes"], seed, run["middle"], run["spread"]), tmp_path_factory.mktemp("weights"))


def level_of(model: LatentCodec[FactorisedQuantizer], wav: Tensor) -> Level:
    """What the codebook looks up, in float64; the authors' is not stored, ours is within rounding of it."""
    (book,) = model.quantizer.codebooks()
    points = book.in_proj(model.latents(F.pad(wav, (0, -wav.shape[-1] % HOP)))).double()
    unit = F.normalize(points).transpose(1, 2)
    return Level(unit, F.normalize(book.codebook.weight.double()), torch.full(unit.shape[:2], float(ROUGHER)))


@pytest.mark.parametrize(("clips", "samples"), CASES)
@torch.no_grad()
def test_codes_and_audio_equal_the_authors(pair, clips: int, samples: int) -> None:
    run, model = pair
    case = next(case for case in run["cases"] if (case["clips"], case["samples"]) == (clips, samples))
    expected, wav = torch.tensor(case["codes"])[:, None], sound(clips, samples, run["seed"])
    ties(model.encode(wav), expected, [level_of(model, wav)])
    decoded = model.decode(expected)
    assert decoded.shape == (clips, 1, case["decoded"])
    torch.testing.assert_close(heard(decoded), torch.tensor(case["heard"]), rtol=0, atol=1e-5)
    torch.testing.assert_close(decoded.square().mean((1, 2)).sqrt(), torch.tensor(case["rms"]), rtol=1e-4, atol=0)
    assert decoded.std() > 0.01 and (clips < 2 or len(expected.unique()) > 40)


def test_a_file_of_other_names_is_refused(tmp_path: Path) -> None:
    facts = stored()["small"]
    run = facts["runs"][0]
    state = weights(facts["shapes"], 0, run["middle"], run["spread"])
    with pytest.raises(UserError, match="does not fit"):
        model_of("small", state | {"generator": state["generator"] | {"stranger": torch.zeros(1)}}, tmp_path)
    with pytest.raises(UserError, match="something else than tensors"):
        model_of("small", {"CodecEnc": state["CodecEnc"]}, tmp_path)
