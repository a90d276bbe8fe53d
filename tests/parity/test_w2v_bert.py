"""w2v-BERT 2.0 units against transformers 5.23.0 (Wav2Vec2BertModel and the features that its feature extractor computes)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from bench.api import UserError
from bench.nn.kmeans import Units
from bench.nn.w2v_bert import W2vBertShape
from bench.tokenizers import w2vbert_kmeans
from tests.parity.test_xcodec2 import SEMANTIC
from tests.parity.ties import residual_levels, ties
from tests.parity.wavtokenizer_recipe import sound

transformers = pytest.importorskip("transformers")
SMALL = W2vBertShape(64, heads=2, feedforward=128, kernel=7, before=16, after=4)
SIZES = [pytest.param("small", id="small"), pytest.param("600m", id="full", marks=pytest.mark.slow)]
NAME = "600m-l17-km500"
ROUGHER = 3  # times the rounding that `ties` allows: that of distances, small beside the features' own length


@torch.no_grad()
def alive(size: str, layers: int) -> Any:
    """transformers' model with random weights, and a layer more than is asked for."""
    numbers = {name: value for name, value in SEMANTIC.items() if name != "model_type"} if size == "small" else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.Wav2Vec2BertConfig(**{**numbers, "num_hidden_layers": layers + 1})
        model = transformers.Wav2Vec2BertModel(config).eval()
        for value in model.parameters():
            if value.ndim == 1:  # norms and biases start at ones and zeros, where mistakes do not show
                value.add_(0.1 * torch.randn(value.shape))
            else:
                value.normal_(0, value[0].numel() ** -0.5)
    return model


def official(model: Any, wav: Tensor, layer: int) -> Tensor:
    """wav [B, 1, T] -> features [B, F, D] of that layer, without the frame that an odd one is filled up to."""
    inputs = transformers.SeamlessM4TFeatureExtractor()([clip[0].numpy() for clip in wav], sampling_rate=16_000, return_tensors="pt")
    states = model(**inputs, output_hidden_states=True).hidden_states
    return states[layer][:, : int(inputs["attention_mask"].sum(1)[0])]


@pytest.fixture(scope="module", params=SIZES)
def case(request: pytest.FixtureRequest) -> tuple[Any, int]:
    layers = 2 if request.param == "small" else 17
    return alive(request.param, layers), layers


def units_of(model: Any, layers: int, folder: Path, patch: pytest.MonkeyPatch) -> Units:
    """The tokenizer with the weights of one file, its centroids around features that occur, which themselves are all but equal in pairs."""
    shape = SMALL if model.config.hidden_size == 64 else w2vbert_kmeans.SHAPES["600m"]
    patch.setitem(w2vbert_kmeans.FAMILY.shapes, "600m", shape)  # type: ignore[arg-type]
    patch.setattr(type(w2vbert_kmeans.FAMILY), "parts", lambda _self, _name: ("600m", layers, 500))
    seen = torch.cat([official(model, sound(1, 96_000, seed), layers)[0] for seed in (5, 6)])
    seen += seen.std(0) * torch.randn(seen.shape, generator=torch.Generator().manual_seed(0))
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state | {"centroids": seen[:500].contiguous()}, folder / "units.safetensors")
    both = folder / "units.safetensors"
    return w2vbert_kmeans.FAMILY.load(w2vbert_kmeans.VARIANTS[NAME].spec, both, both)


@torch.no_grad()
def test_features_and_units_equal_transformers(case: tuple[Any, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, layers = case
    mine = units_of(model, layers, tmp_path, monkeypatch)
    for clips, samples in ((2, 48_123), (1, 16_000), (1, 16_160), (1, 2_000)):  # an even number of short frames, and an odd one
        wav = sound(clips, samples, 1)
        expected = official(model, wav, layers)
        torch.testing.assert_close(mine.features(wav), expected, rtol=0, atol=1e-4)
        units = torch.cdist(expected.double(), mine.centroids.double()[None]).argmin(-1)[:, None]  # the definition, in double precision
        codes = mine.encode(wav)
        levels = residual_levels(expected.transpose(1, 2), [mine.centroids], units)
        ties(codes, units, (level._replace(size=ROUGHER * level.size) for level in levels))
        assert codes.shape == (clips, 1, (samples - 240) // 320)
        assert samples < 20_000 or len(codes.unique()) > 50


def test_a_file_without_a_codebook_or_with_a_stranger_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = alive("small", 2)
    units_of(model, 2, tmp_path, monkeypatch)
    state, spec = model.state_dict(), w2vbert_kmeans.VARIANTS[NAME].spec
    save_file(state, tmp_path / "encoder.safetensors")
    with pytest.raises(UserError, match="centroids"):
        w2vbert_kmeans.FAMILY.load(spec, tmp_path / "encoder.safetensors", tmp_path / "encoder.safetensors")
    save_file(state | {"encoder.a_new_idea": torch.zeros(1), "centroids": torch.zeros(500, 64)}, tmp_path / "odd.safetensors")
    with pytest.raises(UserError, match="a_new_idea"):
        w2vbert_kmeans.FAMILY.load(spec, tmp_path / "odd.safetensors", tmp_path / "odd.safetensors")
