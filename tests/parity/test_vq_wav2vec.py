"""vq-wav2vec against what fairseq's classes made of the same weights and sounds: in their configuration (slow), and with fewer channels.

vq_wav2vec.json holds that, written by write_vq_wav2vec.py. The weights go to a file as fairseq wrote them in 2019, with its options and
meters, and through `load`. Codes must be equal but for proven ties.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest
import torch
from torch import Tensor

from bench.api import UserError
from bench.nn.wav2vec import Wav2vecShape
from bench.tokenizers import vq_wav2vec
from bench.tokenizers.vq_wav2vec import CONFIGS, VARIANTS, Logits, Vectors, VqWav2vec, load
from tests.parity.ties import RARE, ROUNDING, Level, ties
from tests.parity.vq_wav2vec_recipe import CASES, KINDS, SIZES, options, stored, weights
from tests.parity.wavtokenizer_recipe import sound

RUNS = [pytest.param(size, kind, marks=pytest.mark.slow if size == "full" else (), id=f"{size}-{kind}") for size in SIZES for kind in KINDS]


class AverageMeter:
    """Stands for one of fairseq's: no module of that name is there when the file is read."""

    __module__ = "fairseq.meters"


def model_of(size: str, kind: str, state: dict[str, Tensor], folder: Path, **said: object) -> VqWav2vec:
    """Ours with the weights of a checkpoint as fairseq writes it."""
    told = options(size, kind)
    vars(told).update(said)
    meters = ModuleType("fairseq.meters")
    vars(meters)["AverageMeter"] = AverageMeter
    path = folder / f"{kind}.pt"
    with mock.patch.dict(sys.modules, {"fairseq": ModuleType("fairseq"), "fairseq.meters": meters}):
        whole = {"args": told, "model": OrderedDict(state), "extra_state": {"train_meters": OrderedDict(train_loss=AverageMeter())}}
        torch.save(whole, path, _use_new_zipfile_serialization=False)
    channels, codes = SIZES[size]
    with pytest.MonkeyPatch.context() as patch:
        if size != "full":
            patch.setitem(vq_wav2vec.CONFIGS, kind, replace(CONFIGS[kind], shape=Wav2vecShape(channels), size=codes))
        return load(VARIANTS[kind].spec, path)


def facts_of(size: str, kind: str) -> tuple[dict, dict[str, Tensor]]:
    """(what fairseq gave, its weights)."""
    facts = stored()[f"{size} {kind}"]
    return facts, weights(facts["shapes"], facts["middle"], facts["spread"])


def only_ties(model: VqWav2vec, codes: Tensor, expected: Tensor, latents: Tensor) -> None:
    """Codes [B, 2, F] are the expected ones but where the point lies on the plane between the two, but for rounding; in float64."""
    if isinstance(model.quantizer, Vectors):
        points = model.quantizer.points(latents.clone()).double()
        book = model.quantizer.codebook.double()
        for group in range(2):
            at = points[:, :, group]
            ties(codes[:, group : group + 1], expected[:, group : group + 1], [Level(at, book, at.norm(dim=-1))])
        return
    quantizer = model.quantizer
    assert isinstance(quantizer, Logits)
    x = torch.nn.functional.linear(latents.transpose(1, 2), quantizer.linear1.weight, quantizer.linear1.bias)
    hidden = getattr(torch.nn.functional, quantizer.activation)(x).double()
    for group, (code, right) in enumerate(zip(codes.unbind(1), expected.unbind(1), strict=True)):
        weight = quantizer.linear2.weight.double().unflatten(0, (2, -1))[group]
        bias = quantizer.linear2.bias.double().unflatten(0, (2, -1))[group]
        across = weight[code] - weight[right]
        away = ((hidden * across).sum(-1) + bias[code] - bias[right]).abs() / across.norm(dim=-1)
        differ = code != right
        assert (away <= ROUNDING * hidden.norm(dim=-1))[differ].all(), "codes differ, no tie"
        assert differ.sum() <= -(-differ.numel() // RARE)


@pytest.mark.parametrize(("size", "kind"), RUNS)
@torch.no_grad()
def test_codes_equal_fairseq(size: str, kind: str, tmp_path: Path) -> None:
    facts, state = facts_of(size, kind)
    model = model_of(size, kind, state, tmp_path)
    for (clips, samples), found in zip(CASES, facts["cases"], strict=True):
        expected, wav = torch.tensor(found), sound(clips, samples, 1)
        codes = model.encode(wav)
        assert codes.shape == (clips, 2, (samples - 465) // 160 + 1)
        only_ties(model, codes, expected, model.latents(wav))
        assert samples < 30_000 or min(len(group.unique()) for group in expected.unbind(1)) >= 15


@torch.no_grad()
def test_with_gradients_and_on_other_paths_codes_are_the_same(tmp_path: Path) -> None:
    for size in ("small", "odd"):
        for kind in KINDS:
            facts, state = facts_of(size, kind)
            model = model_of(size, kind, state, tmp_path)
            wav = sound(2, 32_100, 1)
            with torch.backends.mkldnn.flags(enabled=False):
                only_ties(model, model.encode(wav), torch.tensor(facts["cases"][0]), model.latents(wav))


def test_files_of_another_kind_size_or_activation_are_refused(tmp_path: Path) -> None:
    _, state = facts_of("small", "gumbel")
    for said, why in (
        ({"vq_type": "kmeans"}, "vq_type kmeans"),
        ({"vq_vars": 321}, "vq_vars 321"),
        ({"activation": "tanh"}, "activation tanh"),
        ({"residual_scale": None}, "residual_scale None"),
    ):
        with pytest.raises(UserError, match=why):
            model_of("small", "gumbel", state, tmp_path, **said)
    with pytest.raises(UserError, match="stranger"):
        model_of("small", "gumbel", state | {"feature_extractor.stranger": torch.zeros(1)}, tmp_path)
    lacking = {name: value for name, value in state.items() if name != "feature_extractor.conv_layers.3.2.bias"}
    with pytest.raises(UserError, match=r"norms\.3\.bias"):
        model_of("small", "gumbel", lacking, tmp_path)
    torch.save({"model": state}, tmp_path / "bare.pt")
    with pytest.raises(UserError, match="lacks `args`"):
        load(VARIANTS["gumbel"].spec, tmp_path / "bare.pt")
    (tmp_path / "text.pt").write_text("no checkpoint")
    with pytest.raises(UserError, match="cannot be read"):
        load(VARIANTS["gumbel"].spec, tmp_path / "text.pt")
