"""DAC against the two public implementations, at the official configurations with shared random weights.

Oracles: descript-audio-codec 1.0.0 (the authors' code) and transformers 5.23.0 (DacModel). A freshly initialised network maps everything
to a few codes, so the weights are given life first (`alive`), and the tests assert that hundreds of different codes occur. Codes must
be equal but for proven ties.
"""

from __future__ import annotations

import importlib
import math
import sys
import types
import warnings
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import UserError
from bench.nn.dac_names import port_names, renamed
from bench.nn.snake import SnakeNet
from bench.tokenizers.dac import CONFIGS, DAC, FEWER, VARIANTS, Config, load
from bench.weights.files import fold_weight_norm
from tests.parity.ties import Level, ties

NAMES = ("16khz", "24khz", "44khz", "44khz-16kbps")
SEEDED = [*zip(NAMES, (0, 1, 2, 3), strict=True)]
MORE = [pytest.param((name, seed), marks=pytest.mark.slow) for name in NAMES for seed in (4, 5, 6)]
ROUGHER = 3  # times the rounding that `ties` allows by itself


def official_class() -> Any:
    """The authors' class. Its package imports audio tools and a command line that the model itself makes no use of: stand-ins do."""
    pytest.importorskip("einops")
    tools, ml, words = types.ModuleType("audiotools"), types.ModuleType("audiotools.ml"), types.ModuleType("argbind")
    ml.__dict__.update(BaseModel=type("BaseModel", (nn.Module,), {"INTERN": [], "EXTERN": []}), Accelerator=object)
    tools.__dict__.update(ml=ml, AudioSignal=object, STFTParams=object)
    words.__dict__.update(bind=lambda *_, **__: lambda function: function)
    with mock.patch.dict(sys.modules, {"audiotools": tools, "audiotools.ml": ml, "argbind": words}):
        try:
            return importlib.import_module("dac.model.dac").DAC
        except ModuleNotFoundError as error:
            pytest.skip(f"the oracle is missing ({error}): pip install --no-deps descript-audio-codec")


def snake(config: Config) -> SnakeNet:
    """The network of a configuration that the authors' code has, too."""
    assert isinstance(config.waveform, SnakeNet)
    return config.waveform


def noise(shape: tuple[int, int, int], seed: int, sample_rate: int) -> Tensor:
    """Noise [B, 1, T] whose loudness rises and falls, so that frames differ."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(shape[-1]) / sample_rate
    speed = 3 + 8 * torch.rand(shape[0], 1, 1, generator=generator)
    return torch.randn(shape, generator=generator) * (0.02 + 0.3 * torch.sin(2 * math.pi * speed * time).square())


@torch.no_grad()
def alive(name: str, seed: int) -> Any:
    """The authors' model with random weights under which codes vary and each level takes away a part of what is left."""
    config = CONFIGS[name]
    rates, kind = list(snake(config).rates), official_class()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # weight_norm is old
        torch.manual_seed(seed)
        model = kind(64, rates, config.waveform.dimension, 1536, rates[::-1], config.levels, sample_rate=config.sample_rate).eval()
        for key, value in model.named_parameters():
            if key.endswith("alpha"):
                value.uniform_(0.3, 2)
            elif key.endswith("weight_g"):
                value.mul_(1.3)
            elif key.endswith("bias"):
                value.normal_(0, 0.02)
        rest = model.encoder(noise((1, 1, config.hop * 30), seed + 100, config.sample_rate))
        for level in model.quantizer.quantizers:
            points = level.in_proj(rest)
            level.codebook.weight.copy_(points.mean((0, 2)) + points.std((0, 2)) * torch.randn(config.size, config.dimension))
            back = 0.7 * torch.linalg.pinv(level.in_proj.weight[..., 0])[..., None]
            level.out_proj.weight_v.copy_(back)
            level.out_proj.weight_g.copy_(back.norm(dim=(1, 2), keepdim=True))
            rest = rest - level.out_proj(level.decode_latents(points)[0])
    return model


def ours(name: str, official) -> DAC:
    model = DAC(CONFIGS[name], VARIANTS[name].spec)
    model.load_state_dict(renamed(fold_weight_norm(official.state_dict()), stages=4), strict=True)
    return model.eval()


@pytest.fixture(scope="module", params=[*SEEDED, *MORE], ids=str)
def pair(request) -> Iterator[tuple]:
    """(the authors' model, ours)."""
    name, seed = request.param
    official = alive(name, seed)
    yield official, ours(name, official)


def with_levels(model: DAC, levels: int) -> DAC:
    """The same weights as a variant of fewer codebooks."""
    fewer = DAC.__new__(DAC)
    fewer.__dict__.update(model.__dict__)
    fewer.spec = replace(model.spec, codebooks=model.spec.codebooks[:levels])
    return fewer


def levels_of(official, latents: Tensor, expected: Tensor) -> Iterator[Level]:
    """What `ties` asks of the authors' quantizer: directions of the projected rest, whose rounding is that of the projected latents.

    Of those it is a larger share, for 8 dimensions keep little of a latent's length: with 44.1 kHz the authors' code is up to 5e-6 away
    from itself in float64, ours up to 1.1e-5.
    """
    quantizer, rest = deepcopy(official.quantizer).double(), latents.double()
    for level, code in zip(quantizer.quantizers, expected.unbind(1), strict=False):
        points, whole = level.in_proj(rest), level.in_proj(latents.double())
        yield Level(
            F.normalize(points).transpose(1, 2), F.normalize(level.codebook.weight), ROUGHER * whole.norm(dim=1) / points.norm(dim=1)
        )
        rest = rest - level.out_proj(level.decode_code(code))


@torch.no_grad()
def compare(official, mine: DAC, wav: Tensor) -> Tensor:
    """Assert equal codes, but for ties, and audio; return our codes."""
    padded = official.preprocess(wav, None)
    latents = official.encoder(padded)
    expected = official.quantizer(latents, len(mine.spec.codebooks))[1]
    codes = mine.encode(wav)
    assert codes.shape == expected.shape == (len(wav), len(mine.spec.codebooks), -(-wav.shape[-1] // mine.config.hop))
    ties(codes, expected, levels_of(official, latents, expected))
    assert_decodes(official, mine, expected)
    return codes


@torch.no_grad()
def assert_decodes(official, mine: DAC, codes: Tensor) -> None:
    audio = official.decode(official.quantizer.from_codes(codes)[0])
    assert audio.std() > 5e-3
    torch.testing.assert_close(mine.decode(codes), audio, rtol=0, atol=1e-5)


def different(codes: Tensor) -> int:
    """How many (codebook, code) pairs occur in codes [B, K, F]."""
    return sum(len(level.unique()) for level in codes.unbind(1))


def test_codes_and_audio_equal_the_authors(pair) -> None:
    official, mine = pair
    codes = compare(official, mine, noise((2, 1, mine.config.hop * 24 - 101), 1, mine.config.sample_rate))
    assert different(codes) > 300
    assert min(len(level.unique()) for level in codes.unbind(1)) > 25


@pytest.mark.parametrize("length", [1, 333, 1023, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 1920, 2049, 30_001))])
def test_any_length(pair, length: int) -> None:
    official, mine = pair
    compare(official, mine, noise((1, 1, length), length, mine.config.sample_rate))


@torch.no_grad()
def test_every_number_of_codebooks_is_the_first_of_all(pair) -> None:
    official, mine = pair
    wav = noise((1, 1, mine.config.hop * 12 - 7), 3, mine.config.sample_rate)
    codes = compare(official, mine, wav)
    latents = mine.latents(F.pad(wav, (0, 7)))
    for levels in range(1, mine.config.levels + 1):
        assert torch.equal(mine.quantizer.encode(latents, levels), codes[:, :levels])
        rebuilt, expected = mine.quantizer.decode(codes[:, :levels]), official.quantizer.from_codes(codes[:, :levels])[0]
        torch.testing.assert_close(rebuilt, expected, rtol=0, atol=1e-5)


def test_every_published_bitrate_decodes_alike(pair) -> None:
    official, mine = pair
    name = mine.spec.variant
    codes = mine.encode(noise((1, 1, mine.config.hop * 2), 4, mine.config.sample_rate))
    for levels in FEWER[name]:
        assert len(VARIANTS[f"{name}-{levels}cb"].spec.codebooks) == levels
        assert_decodes(official, with_levels(mine, levels), codes[:, :levels])


def test_an_odd_stride_costs_eight_samples_and_an_even_one_none(pair) -> None:
    _, mine = pair
    codes = torch.zeros(1, mine.config.levels, 5, dtype=torch.int64)
    missing = 5 * mine.config.hop - mine.decode(codes).shape[-1]
    assert missing == (8 if 5 in mine.config.waveform.rates else 0)


@pytest.fixture(scope="module")
def port(pair) -> Iterator[tuple]:
    """(transformers' model, ours), with the same weights."""
    transformers = pytest.importorskip("transformers")
    _, mine = pair
    config = mine.config
    if config.waveform.dimension != 1024:
        pytest.skip("transformers' class derives the width of the latents from the encoder's: it cannot be this model")
    model = transformers.DacModel(
        transformers.DacConfig(downsampling_ratios=config.waveform.rates, n_codebooks=config.levels, sampling_rate=config.sample_rate)
    ).eval()
    back = {ours: theirs for theirs, ours in port_names(4).items()}
    state = {}
    for name, value in mine.state_dict().items():
        module, _, leaf = name.replace("quantizer.layers.", "quantizer.quantizers.").rpartition(".")
        state[f"{back.get(module, module)}.{leaf}"] = value[None, :, None] if leaf == "alpha" else value
    model.load_state_dict(state, strict=True)
    yield model, mine


@torch.no_grad()
def test_codes_and_audio_equal_transformers(pair, port) -> None:
    model, mine = port
    wav = noise((2, 1, mine.config.hop * 10), 5, mine.config.sample_rate)
    codes, expected = mine.encode(wav), model.encode(wav).audio_codes
    ties(codes, expected, levels_of(pair[0], pair[0].encoder(wav), expected))
    torch.testing.assert_close(mine.decode(expected)[:, 0], model.decode(audio_codes=expected).audio_values, rtol=0, atol=1e-5)
    assert different(codes) > 150


SMALL = CONFIGS["tiny"]  # the names are those of the large ones, which `pair` loads strictly


def assert_loads(path: Path, expected: dict[str, Tensor]) -> None:
    loaded = load(VARIANTS["tiny"].spec, path).state_dict()
    for key, value in expected.items():
        torch.testing.assert_close(loaded[key], value, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("names", ["released", "parametrized"])
def test_loads_a_checkpoint_with_the_authors_names(tmp_path: Path, names: str) -> None:
    rates = list(snake(SMALL).rates)
    official = official_class()(2, rates, 32, 64, rates[::-1], SMALL.levels, SMALL.size, SMALL.dimension)
    state = dict(official.state_dict())
    assert "encoder.block.0.weight_g" in state and "decoder.model.6.weight_v" in state
    if names == "parametrized":
        for old, new in (("weight_g", "parametrizations.weight.original0"), ("weight_v", "parametrizations.weight.original1")):
            state = {key.replace(old, new): value for key, value in state.items()}
        assert "encoder.block.0.parametrizations.weight.original0" in state
    metadata = {"kwargs": {"encoder_rates": rates, "codebook_dim": 4, "quantizer_dropout": 0.5, "latent_dim": None}}
    torch.save({"state_dict": state, "metadata": metadata}, tmp_path / "weights.pth")
    assert_loads(tmp_path / "weights.pth", renamed(fold_weight_norm(official.state_dict()), stages=4))


@pytest.mark.parametrize("names", ["plain", "normed"])
def test_loads_a_checkpoint_with_the_names_of_transformers(tmp_path: Path, names: str) -> None:
    transformers = pytest.importorskip("transformers")
    model = transformers.DacModel(
        transformers.DacConfig(
            encoder_hidden_size=2,
            downsampling_ratios=snake(SMALL).rates,
            decoder_hidden_size=64,
            n_codebooks=SMALL.levels,
            codebook_size=SMALL.size,
            codebook_dim=SMALL.dimension,
        )
    )
    expected = renamed({key: value.clone() for key, value in model.state_dict().items()}, stages=4)
    if names == "normed":
        model.apply_weight_norm()
        assert "encoder.conv1.parametrizations.weight.original1" in model.state_dict()
    save_file({key: value.clone() for key, value in model.state_dict().items()}, tmp_path / "model.safetensors")
    assert_loads(tmp_path / "model.safetensors", expected)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": load(VARIANTS["tiny"].spec).state_dict(), "metadata": {}}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="does not fit this configuration"):
        load(VARIANTS["44khz"].spec, tmp_path / "weights.pth")


def test_folding_weight_norm_gives_the_weight_that_torch_uses(pair) -> None:
    official, mine = pair
    with torch.no_grad():
        official.encoder(torch.zeros(1, 1, mine.config.hop))  # the old weight_norm makes its weight on the way through
    torch.testing.assert_close(mine.state_dict()["encoder.0.weight"], official.encoder.block[0].weight, rtol=1e-6, atol=0)
