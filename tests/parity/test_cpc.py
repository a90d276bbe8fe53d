"""CPC units against what the authors' code made of the same weights and sounds: at CPC-big's size (slow), and with fewer channels.

cpc.json holds that, written by write_cpc.py: features by their reader of files (pieces of 4 s, each alone), units by the definition, in
double precision. Weights and codebook go through files in the published forms, and through `load`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.api import UserError
from bench.nn.cpc import CpcShape
from bench.nn.kmeans import Units
from bench.tokenizers import cpc_kmeans
from tests.parity.cpc_recipe import CASES, LAYERS, SIZES, chosen, codebook, stored, weights
from tests.parity.ties import residual_levels, ties
from tests.parity.wavtokenizer_recipe import sound

RUNS = [pytest.param(size, marks=pytest.mark.slow if size == "full" else (), id=size) for size in SIZES]
NAME = f"big-l{LAYERS}-km50"


def units_of(size: str, state: dict[str, Tensor], centroids: Tensor, folder: Path, form: str = "weights") -> Units:
    """Ours with the weights of an authors' file, which says its configuration beside them."""
    torch.save({"config": {"hiddenEncoder": SIZES[size], "nLevelsGRU": LAYERS + 1, "arMode": "LSTM"}, form: state}, folder / "cpc.pt")
    np.save(folder / "km.npy", centroids.numpy())
    with pytest.MonkeyPatch.context() as patch:
        if size != "full":
            patch.setitem(cpc_kmeans.SHAPES, "big", CpcShape(SIZES[size], SIZES[size]))
        return cpc_kmeans.FAMILY.load(cpc_kmeans.VARIANTS[NAME].spec, folder / "km.npy", folder / "cpc.pt")


@pytest.mark.parametrize("size", RUNS)
@torch.no_grad()
def test_features_and_units_equal_the_authors(size: str, tmp_path: Path) -> None:
    facts = stored()[size]
    centroids = codebook(facts["middle"], facts["spread"])
    mine = units_of(size, weights(facts["shapes"]), centroids, tmp_path)
    for (clips, samples), case in zip(CASES, facts["cases"], strict=True):
        wav, expected = sound(clips, samples, 1), torch.tensor(case["codes"])[:, None]
        features = mine.features(wav)
        torch.testing.assert_close(chosen(features), torch.tensor(case["features"]), rtol=0, atol=1e-5)
        codes = mine.encode(wav)
        ties(codes, expected, residual_levels(features.transpose(1, 2), [mine.centroids], expected))
        assert samples < 60_000 or len(codes.unique()) > 40


@torch.no_grad()
def test_a_checkpoint_of_the_authors_training_is_read_too(tmp_path: Path) -> None:
    facts = stored()["small"]
    state, centroids = weights(facts["shapes"]), codebook(facts["middle"], facts["spread"])
    wav = sound(1, 16_123, 1)
    codes = units_of("small", state, centroids, tmp_path, "gEncoder").encode(wav)
    assert torch.equal(codes[0, 0], torch.tensor(facts["cases"][2]["codes"][0]))


@torch.no_grad()
def test_other_kernels_give_the_same_features(tmp_path: Path) -> None:
    facts = stored()["small"]
    mine = units_of("small", weights(facts["shapes"]), codebook(facts["middle"], facts["spread"]), tmp_path)
    with torch.backends.mkldnn.flags(enabled=False):
        features = mine.features(sound(2, 70_001, 1))
    torch.testing.assert_close(chosen(features), torch.tensor(facts["cases"][0]["features"]), rtol=0, atol=1e-5)


def test_a_file_that_lacks_a_layer_or_has_a_stranger_is_refused(tmp_path: Path) -> None:
    facts = stored()["small"]
    state, centroids = weights(facts["shapes"]), codebook(facts["middle"], facts["spread"])
    with pytest.raises(UserError, match="stranger"):
        units_of("small", state | {"gAR.stranger": torch.zeros(1)}, centroids, tmp_path)
    lacking = {name: value for name, value in state.items() if not name.endswith("_l1")}
    with pytest.raises(UserError, match=r"lstm\.weight_ih_l1"):
        units_of("small", lacking, centroids, tmp_path)
