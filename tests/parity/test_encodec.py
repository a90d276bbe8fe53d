"""EnCodec against the two public implementations, at the official configurations with shared random weights.

Oracles: encodec 0.1.1 (the authors' code) and transformers 5.23.0 (EncodecModel). A freshly initialised network maps everything to a few
codes, so the weights are given life first (`alive`), and the tests assert that many different codes occur. Codes must be equal but for
proven ties.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from bench.api import UserError
from bench.nn.side import codes_to_floats
from bench.tokenizers.encodec import CONFIGS, LEVELS, VARIANTS, ChunkedEnCodec, EnCodec, Networks, WholeEnCodec, load, renamed
from tests.parity.noise import swelling as noise
from tests.parity.ties import residual_levels, ties

with pytest.MonkeyPatch.context() as patch:
    if importlib.util.find_spec("torchaudio") is None:  # the package imports it for reading files, which no test here does
        patch.setitem(sys.modules, "torchaudio", ModuleType("torchaudio"))
    official = pytest.importorskip("encodec", reason="the oracle is missing: pip install --no-deps encodec einops", exc_type=ImportError)

HOP = 320
SEEDS = (0, 1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (3, 4)))


@torch.no_grad()
def enliven(model, books: list[tuple], wav: Tensor) -> None:
    """Random weights and codebooks (`embed`, its owner's other buffers) under which the codes of wav vary."""
    for name, value in model.named_parameters():
        if name.endswith(("weight_g", "original0")):
            value.mul_(1.5 + 0.5 * torch.rand_like(value))  # or the latents hardly move, and rounding alone decides between codes
        elif ".lstm.weight" in name:
            value.mul_(3)
        elif name.endswith("bias") or ".bias_" in name:
            value.normal_(0, 0.1)
    rest = model.encoder(wav).transpose(1, 2).flatten(0, 1)
    for book, encode in books:
        # around what arrives, and short: residuals must shrink slowly, or the last levels quantize nothing but rounding errors
        book.embed.copy_(rest.mean(0) + 0.4 * rest.std(0) * torch.randn(book.embed.shape))
        book.embed_avg.copy_(torch.randn(book.embed.shape))  # nobody may read it
        book.cluster_size.copy_(0.5 + torch.rand(len(book.embed)))
        book.inited.fill_(1)
        rest = rest - book.embed[encode(rest)]


def alive(kind: str, seed: int) -> Any:
    """The authors' model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(official.EncodecModel, f"encodec_model_{kind}")(pretrained=False)
        wav = noise((1, model.channels, model.sample_rate * 2), seed + 100)
        books = [(layer._codebook, layer._codebook.quantize) for layer in model.quantizer.vq.layers]
        enliven(model, books, wav / (wav.square().mean().sqrt() if model.normalize else 1))
    return model


def ours(model, rate: str) -> Any:
    kind = "24khz" if model.channels == 1 else "48khz"
    mine = (EnCodec if kind == "24khz" else ChunkedEnCodec)(CONFIGS[kind], VARIANTS[f"{kind}-{rate}"].spec)
    mine.load_state_dict(renamed(model.state_dict()), strict=True)
    return mine.eval()


@pytest.fixture(scope="module", params=SEEDS)
def mono(request) -> Iterator[tuple]:
    """(the authors' 24 kHz model, ours with all 32 codebooks)."""
    model = alive("24khz", request.param)
    yield model, ours(model, "24kbps")


@pytest.fixture(scope="module", params=SEEDS)
def stereo(request) -> Iterator[tuple]:
    """(the authors' 48 kHz model, ours with all 16 codebooks)."""
    model = alive("48khz", request.param)
    yield model, ours(model, "24kbps")


@torch.no_grad()
def compare(pair: tuple, wav: Tensor) -> Tensor:
    """Assert equal codes, but for ties, and audio at 24 kHz; return our codes."""
    model, mine = pair
    model.set_target_bandwidth(len(mine.spec.codebooks) * 0.75)
    frames = model.encode(wav)
    expected, codes = frames[0][0], mine.encode(wav)
    assert codes.shape == expected.shape == (len(wav), len(mine.spec.codebooks), -(-wav.shape[-1] // HOP))
    ties(codes, expected, residual_levels(model.encoder(wav), books(mine), expected))
    torch.testing.assert_close(mine.decode(expected), model.decode(frames), rtol=0, atol=1e-5)
    return codes


def books(mine: Networks) -> list[Tensor]:
    """The codebooks [S, D] in use."""
    return [codebook.vectors()[0] for codebook in mine.quantizer.codebooks()[: len(mine.spec.codebooks)]]


@torch.no_grad()
def compare_chunks(pair: tuple, wav: Tensor) -> list[Tensor]:
    """Assert equal codes, but for ties, scales and audio at 48 kHz; return our codes of each chunk."""
    model, mine = pair
    model.set_target_bandwidth(len(mine.spec.codebooks) * 1.5)
    frames, chunks = model.encode(wav), mine.config.chunks
    codes, side = mine.encode(wav)
    parts = codes.split(chunks.split(codes.shape[-1], side.shape[-1]), dim=-1)
    assert len(parts) == len(frames)
    scales = codes_to_floats(side, torch.float32)[:, 0].unbind(-1)
    for index, (part, mine_scale, (expected, scale)) in enumerate(zip(parts, scales, frames, strict=True)):
        latents = model.encoder(wav[..., index * chunks.stride :][..., : chunks.length] / scale[..., None])
        ties(part, expected, residual_levels(latents, books(mine), expected))
        torch.testing.assert_close(mine_scale, scale[:, 0], rtol=1e-6, atol=0)
    same = torch.cat([expected for expected, _ in frames], -1)
    torch.testing.assert_close(mine.decode(same, side), model.decode(frames), rtol=0, atol=1e-5)
    return list(parts)


@torch.no_grad()
def alive_32khz(seed: int) -> Any:
    """transformers' model of MusicGen's EnCodec with random weights under which codes vary."""
    transformers = pytest.importorskip("transformers")
    shape = {"sampling_rate": 32_000, "num_filters": 64, "upsampling_ratios": [8, 5, 4, 4], "codebook_size": 2048, "codebook_dim": 128}
    config = transformers.EncodecConfig(
        **shape, use_causal_conv=False, use_conv_shortcut=False, normalize=False, target_bandwidths=[2.2], norm_type="weight_norm"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.EncodecModel(config).eval()
        wav = noise((1, 1, 64_000), seed + 100)
        enliven(model, [(layer.codebook, layer.codebook.quantize) for layer in model.quantizer.layers], wav)
    return model


def ours_32khz(model: Any) -> WholeEnCodec:
    mine = WholeEnCodec(CONFIGS["32khz"], VARIANTS["32khz-2.2kbps"].spec)
    mine.load_state_dict(renamed(model.state_dict()), strict=True)
    return mine.eval()


@pytest.mark.parametrize("seed", (0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))))
@torch.no_grad()
def test_32khz_equals_transformers(seed: int) -> None:
    model = alive_32khz(seed)
    mine = ours_32khz(model)
    for shape in ((1, 1, 32_000), (3, 1, 20_001), (1, 1, 639)):
        wav = noise(shape, seed)
        expected = model.encode(wav, bandwidth=2.2).audio_codes[0]
        codes = mine.encode(wav)
        assert codes.shape == (shape[0], 4, -(-shape[-1] // 640))
        ties(codes, expected, residual_levels(model.encoder(wav), books(mine), expected))
        torch.testing.assert_close(mine.decode(expected), model.decode(expected[None], [None])[0], rtol=0, atol=1e-5)
        assert shape[-1] < 1000 or different(codes) > 150


def different(codes: Tensor) -> int:
    """How many (codebook, code) pairs occur in codes [B, K, F]."""
    return sum(len(level.unique()) for level in codes.unbind(1))


def test_codes_and_audio_equal_the_authors(mono) -> None:
    codes = compare(mono, noise((2, 1, 24_000), 1))
    assert different(codes) > 1000
    assert min(len(level.unique()) for level in codes.unbind(1)) > 20


@pytest.mark.parametrize(
    "length", [1, 2, 333, 319, 320, 321, 6 * HOP, 7 * HOP + 1, 12_345, pytest.param(375 * HOP + 1, marks=pytest.mark.slow)]
)
def test_any_length(mono, length: int) -> None:
    compare(mono, noise((1, 1, length), length))


@pytest.mark.parametrize("rate", LEVELS["24khz"])
def test_every_bitrate(mono, rate: str) -> None:
    model, mine = mono
    wav = noise((3, 1, 5_011), 3)
    codes = compare((model, ours(model, rate)), wav)
    assert torch.equal(codes, mine.encode(wav)[:, : codes.shape[1]])
    assert different(codes) > 30 * codes.shape[1]


def test_silence(mono) -> None:
    compare(mono, torch.zeros(1, 1, 5_000))


def test_chunks_equal_the_authors(stereo) -> None:
    codes = compare_chunks(stereo, noise((1, 2, 48_000 + 2_345), 1))
    assert different(torch.cat(codes, -1)) > 1000


@pytest.mark.parametrize("length", [1, 333, 640, 12_345])
def test_any_length_of_a_chunk(stereo, length: int) -> None:
    compare_chunks(stereo, noise((2, 2, length), length))


def test_silence_of_a_chunk(stereo) -> None:
    compare_chunks(stereo, torch.zeros(1, 2, 5_000))


@pytest.mark.slow
@pytest.mark.parametrize("length", [47_520, 47_521, 47_680, 48_000, 96_000, 95_200])
def test_any_length_of_chunks(stereo, length: int) -> None:
    compare_chunks(stereo, noise((2, 2, length), length))


def test_a_chunk_that_outlasts_the_last_one_stops_the_authors_only() -> None:
    model, wav = official.EncodecModel.encodec_model_48khz(pretrained=False), noise((1, 2, 47_700), 0)  # 150 frames, then 1 at 148.5
    model.set_target_bandwidth(3.0)
    mine = ours(model, "3kbps")
    with torch.no_grad(), pytest.raises(RuntimeError, match="must match"):
        model.decode(model.encode(wav))
    assert mine.decode(*mine.encode(wav)).shape == (1, 2, 48_000)


@pytest.mark.parametrize("rate", LEVELS["48khz"])
def test_every_bitrate_of_chunks(stereo, rate: str) -> None:
    model, _ = stereo
    assert different(torch.cat(compare_chunks((model, ours(model, rate)), noise((1, 2, 9_011), 3)), -1)) > 50


@pytest.mark.parametrize(("kind", "rate"), [("24khz", "24kbps"), ("48khz", "24kbps")])
def test_loads_a_checkpoint_with_the_authors_names(tmp_path, kind: str, rate: str) -> None:
    model = getattr(official.EncodecModel, f"encodec_model_{kind}")(pretrained=False)
    path = tmp_path / "encodec.th"
    torch.save(model.state_dict(), path)
    if kind == "24khz":
        assert "encoder.model.0.conv.conv.weight_g" in model.state_dict()
    loaded, expected = load(VARIANTS[f"{kind}-{rate}"].spec, path).state_dict(), ours(model, rate).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in expected.items())


@pytest.fixture(scope="module")
def port():
    """transformers' 24 kHz model, alive."""
    transformers = pytest.importorskip("transformers")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = transformers.EncodecModel(transformers.EncodecConfig()).eval()
        books = [(layer.codebook, layer.codebook.quantize) for layer in model.quantizer.layers]
        enliven(model, books, noise((2, 1, 48_000), 105))
    return model


@pytest.mark.parametrize("names", ["old", "parametrized"])
@torch.no_grad()
def test_codes_and_audio_equal_transformers(tmp_path, port, names: str) -> None:
    state = {key: value.contiguous() for key, value in port.state_dict().items()}
    if names == "old":
        old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        state = {re.sub("|".join(old), lambda found: old[found[0]], key): value for key, value in state.items()}
    assert ("encoder.layers.0.conv.weight_g" in state) == (names == "old")
    save_file(state, tmp_path / "encodec.safetensors")
    wav = noise((2, 1, 20_001), 5)
    mine = load(VARIANTS["24khz-12kbps"].spec, tmp_path / "encodec.safetensors")
    codes = mine.encode(wav)
    theirs = port.encode(wav, bandwidth=12.0)
    expected = theirs.audio_codes[0]
    ties(codes, expected, residual_levels(port.encoder(wav), books(mine), expected))
    torch.testing.assert_close(mine.decode(expected), port.decode(theirs.audio_codes, theirs.audio_scales)[0], rtol=0, atol=1e-5)
    assert different(codes) > 500


def test_loads_the_stereo_names_of_transformers(tmp_path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.EncodecConfig(
        target_bandwidths=[3.0, 6.0, 12.0, 24.0],
        sampling_rate=48_000,
        audio_channels=2,
        use_causal_conv=False,
        norm_type="time_group_norm",
    )
    state = transformers.EncodecModel(config).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "encodec.safetensors")
    mine = load(VARIANTS["48khz-6kbps"].spec, tmp_path / "encodec.safetensors")
    assert torch.equal(mine.state_dict()["encoder.layers.0.norm.weight"], state["encoder.layers.0.norm.weight"])


@pytest.mark.parametrize("missing", ["encoder.model.13.lstm.weight_hh_l1", "quantizer.vq.layers.3._codebook.embed"])
def test_a_checkpoint_that_lacks_a_tensor_is_refused(tmp_path, missing: str) -> None:
    state = official.EncodecModel.encodec_model_24khz(pretrained=False).state_dict()
    del state[missing]
    torch.save(state, tmp_path / "encodec.th")
    with pytest.raises(UserError, match="does not fit this configuration"):
        load(VARIANTS["24khz-6kbps"].spec, tmp_path / "encodec.th")
