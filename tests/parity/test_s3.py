"""S3 tokens against s3tokenizer 0.3.0, with shared random weights (the official widths slowly), and as a reader of .onnx."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.nn.kmeans import Units
from bench.tokenizers import s3
from bench.tokenizers.s3 import CONFIGS, Config, DigitUnits, Features, onnx_state, renamed
from tests.parity.noise import swelling
from tests.parity.ties import residual_levels, ties

pytest.importorskip("onnx", reason="the oracle reads its weights with onnx: pip install onnx")
VERSIONS = ("v1", "v1-25hz", "v2", "v3")
OFFICIAL = {  # variant -> the name that decides of the classes' strides and rates
    "v1": "speech_tokenizer_v1",
    "v1-25hz": "speech_tokenizer_v1_25hz",
    "v2": "speech_tokenizer_v2_25hz",
    "v3": "speech_tokenizer_v3_25hz",
}
SMALL = {name: replace(CONFIGS[name], encoder=replace(CONFIGS[name].encoder, dimension=128, heads=2, layers=2)) for name in VERSIONS}
CASES = [pytest.param(name, SMALL[name], id=f"small-{name}") for name in VERSIONS]
CASES += [pytest.param(name, CONFIGS[name], id=name, marks=pytest.mark.slow) for name in VERSIONS]


def official() -> Any:
    """The package, with a stand-in for torchaudio, of which it uses the reading of files alone."""
    with pytest.MonkeyPatch.context() as patch:
        if "s3tokenizer" not in sys.modules:
            patch.setitem(sys.modules, "torchaudio", sys.modules.get("torchaudio", ModuleType("torchaudio")))
        try:
            return importlib.import_module("s3tokenizer")
        except ModuleNotFoundError:
            pytest.skip("the oracle is missing: pip install --no-deps s3tokenizer==0.3.0 einops")


@torch.no_grad()
def alive(name: str, config: Config, seed: int) -> Any:
    """The package's model with random weights under which codes vary."""
    package, shape = official(), config.encoder
    sizes = {"n_audio_state": shape.dimension, "n_audio_head": shape.heads, "n_audio_layer": shape.layers}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "v3":
            model = package.S3TokenizerV3(OFFICIAL[name], importlib.import_module("s3tokenizer.model_v3").ModelConfigV3(**sizes))
        elif name == "v2":
            model = package.S3TokenizerV2(OFFICIAL[name], importlib.import_module("s3tokenizer.model_v2").ModelConfig(**sizes))
        else:
            model = package.S3Tokenizer(OFFICIAL[name], importlib.import_module("s3tokenizer.model").ModelConfig(**sizes))
        model.eval()
        for parameter, value in model.named_parameters():
            if parameter.endswith("bias"):
                value.normal_(0, 0.1)
            elif parameter.endswith("_ln.weight"):
                value.copy_(0.5 + torch.rand_like(value))
        x = hidden(model, swelling((1, 1, 160_000), seed + 100))
        if config.size:
            x = F.normalize(x, dim=-1)
            book = model.quantizer._codebook.embed
            book.copy_(x[0].mean(0) + x[0].std(0) * torch.randn(book.shape))
        else:
            down = model.quantizer._codebook.project_down
            down.weight.mul_(8)
            down.bias.sub_(down(x).mean((0, 1)))
    return model


def spectra(wav: Tensor) -> Tensor:
    """wav [B, 1, T] -> the package's log-mel spectra [B, 128, T // 160]."""
    return torch.stack([official().log_mel_spectrogram(clip[0]) for clip in wav])


def hidden(model: Any, wav: Tensor) -> Tensor:
    """What the package quantizes [B, F, D], for clips of at most 30 s."""
    mel = spectra(wav)
    return model.encoder(mel, torch.full((len(mel),), mel.shape[-1]))[0]


def theirs(model: Any, wav: Tensor) -> Tensor:
    """Codes [B, F] int64."""
    mel = spectra(wav)
    return model.quantize(mel, torch.full((len(mel),), mel.shape[-1]))[0].long()


def ours(name: str, config: Config, state: dict[str, Tensor]) -> Units | DigitUnits:
    spec = s3.VARIANTS[name].spec
    features = Features(config.encoder, unit=bool(config.size))
    mine = (Units if config.size else DigitUnits)(spec, features, config.encoder.dimension)
    mine.load_state_dict(renamed(state, config.encoder), strict=True)
    if isinstance(mine, Units):
        mine.set_centroids(mine.centroids.clone())
    return mine.eval()


def only_ties(model: Any, codes: Tensor, expected: Tensor, x: Tensor) -> None:
    """Where codes [B, F] differ, features x [B, F, D] lie between two codes but for rounding."""
    if hasattr(model.quantizer._codebook, "project_down"):
        numbers = model.quantizer._codebook.project_down(x).tanh() * s3.REACH
        places = 3 ** torch.arange(s3.DIGITS)
        differ = codes[..., None] // places % 3 != expected[..., None] // places % 3
        assert ((numbers.abs() - 0.5).abs()[differ] < 1e-4).all(), "not a tie"
        assert differ.double().mean() < 1e-3, "more than ties"
    else:
        unit = F.normalize(x, dim=-1).transpose(1, 2)
        ties(codes[:, None], expected[:, None], residual_levels(unit, [model.quantizer.codebook], expected[:, None]))


@pytest.mark.parametrize(("name", "config"), CASES)
@torch.inference_mode()
def test_codes_equal_s3tokenizer(name: str, config: Config) -> None:
    model = alive(name, config, 0)
    mine = ours(name, config, model.state_dict())
    for shape in ((1, 1, 80_000), (2, 1, 20_001), (1, 1, 400)):
        wav = swelling(shape, 1)
        expected, codes = theirs(model, wav), mine.encode(wav)[:, 0]
        assert codes.shape == expected.shape and expected.dtype == codes.dtype
        only_ties(model, codes, expected, hidden(model, wav))
        assert shape[-1] < 50_000 or len(codes.unique()) > codes.shape[-1] / 5


@pytest.mark.parametrize("name", ("v1", "v2"))
@pytest.mark.parametrize("spectra_beyond", (1, 2900))
@torch.inference_mode()
def test_long_clips_are_cut_as_s3tokenizer_cuts_them(name: str, spectra_beyond: int) -> None:
    model = alive(name, SMALL[name], 0)
    mine = ours(name, SMALL[name], model.state_dict())
    wav = swelling((1, 1, 160 * (3000 + spectra_beyond)), 1)
    expected, codes = theirs(model, wav), mine.encode(wav)[:, 0]
    assert codes.shape == expected.shape == (1, -(-(3000 + spectra_beyond) * 160 // CONFIGS[name].encoder.hop))
    assert (codes != expected).double().mean() < 5e-3


@torch.inference_mode()
def test_a_window_without_codes_of_its_own_is_not_begun() -> None:
    """s3tokenizer begins it, and loses two seconds at the end of the clip."""
    model = alive("v2", SMALL["v2"], 0)
    wav = swelling((1, 1, 160 * (2600 * 2 + 100)), 1)
    assert theirs(model, wav).shape[1] == 1275
    assert ours("v2", SMALL["v2"], model.state_dict()).encode(wav).shape == (1, 1, 1325)


def graph(name: str, state: dict[str, Tensor]) -> Any:
    """A model of onnx with the arrays of a state dict, and the names that s3tokenizer looks for in the authors' file."""
    onnx = importlib.import_module("onnx")
    nodes, stored = [], []

    def step(kind: str, node: str, arrays: dict[str, Tensor], constant: bool = False) -> None:
        for own, value in arrays.items():
            tensor = onnx.numpy_helper.from_array(value.contiguous().numpy(), own)
            if constant:
                nodes.append(onnx.helper.make_node("Constant", [], [own], name=f"{node}_constant", value=tensor))
            else:
                stored.append(tensor)
        nodes.append(onnx.helper.make_node(kind, ["x", *arrays], ["x"], name=node))

    numbers = {"v1": 1519, "v2": 2216}.get(name, 0)
    for i in (1, 2):
        first = numbers + 2 * (i - 1)
        own = [f"onnx::Conv_{first}", f"onnx::Conv_{first + 1}"] if numbers else [f"encoders.conv{i}.weight", f"encoders.conv{i}.bias"]
        step("Conv", f"/conv{i}/Conv", dict(zip(own, (state[f"encoder.conv{i}.{part}"] for part in ("weight", "bias")), strict=True)))
    if "encoder.positional_embedding" in state:
        step("Add", "/Add", {"encoders.positional_embedding": state["encoder.positional_embedding"]})
    for block in range(2):
        for key, value in state.items():
            if not key.startswith(f"encoder.blocks.{block}.") or not key.endswith("weight"):
                continue
            part = key.removeprefix(f"encoder.blocks.{block}.").removesuffix(".weight")
            bias: Any = state.get(key.replace("weight", "bias"))
            at = f"/blocks.{block}/{part.replace('.', '/').replace('mlp/', 'mlp/mlp.')}"
            if part.endswith("_ln") and name == "v2":
                step("LayerNormalization", f"{at}/LayerNormalization", {f"{at}:w": value, f"{at}:b": bias})
            elif part.endswith("_ln"):
                step("Add", f"{at}/Add", {f"{at}:epsilon": torch.tensor([1e-5])}, constant=True)
                step("Mul", f"{at}/Mul", {f"{at}:w": value})
                step("Add", f"{at}/Add_1", {f"{at}:b": bias}, constant=name == "v3")
            elif part.endswith("fsmn_block"):
                step("Conv", f"{at}/Conv", {f"blocks.{block}.attn.fsmn_block.weight": value})
            else:
                step("MatMul", f"{at}/MatMul", {f"{at}:w": value.T})
                if bias is not None:
                    step("Add", f"{at}/Add", {f"{at}:b": bias})
    if "quantizer._codebook.embed" in state:
        step("Pow", "/quantizer/rq/model/layers.0/_codebook/Pow_1", {"book": state["quantizer._codebook.embed"].T})
    else:
        step("MatMul", "/quantizer/MatMul", {"onnx::MatMul_2536": state["quantizer._codebook.project_down.weight"].T})
        step("Add", "/quantizer/Add", {"quantizer.project_in.bias": state["quantizer._codebook.project_down.bias"]})
    return onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], stored))


@pytest.mark.parametrize("name", VERSIONS)
def test_reads_the_arrays_that_s3tokenizer_reads(name: str, tmp_path: Path) -> None:
    """The graph is made here, as the package's reader wants the authors' one to be: their files are not on every machine."""
    state = alive(name, SMALL[name], 2).state_dict()
    path = tmp_path / "speech_tokenizer.onnx"
    path.write_bytes(graph(name, state).SerializeToString())
    read = official().onnx2torch_v3 if name == "v3" else official().onnx2torch
    expected, found = read(str(path)), onnx_state(path)
    assert found.keys() == expected.keys() == state.keys()
    for key, value in state.items():
        assert torch.equal(expected[key], value) and torch.equal(found[key], value), key
    ours(name, SMALL[name], found)
