"""Qwen3-TTS-Tokenizer-12Hz against the authors' code, at the released configuration with shared random weights.

Oracles: their decoder (qwen-tts 0.1.1, see qwen_oracle.py), and for the encoder transformers' MimiModel, which they use as it is. The
weights are given life first (`alive`), and the tests assert that many different codes occur. Codes must be equal but for proven ties.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from bench.tokenizers.qwen3_tts import CONFIGS, VARIANTS, Qwen3TTS, load, renamed
from tests.parity.noise import swelling as noise
from tests.parity.qwen_oracle import official_decoder
from tests.parity.ties import Level, residual_levels, ties

HOP, LEVELS = 1920, 16


def slow(*cases: object) -> list:
    """Cases of `make test-slow`."""
    return [pytest.param(*case if isinstance(case, tuple) else (case,), marks=pytest.mark.slow) for case in cases]


SEEDS = (0, *slow(1, 2))
FILE = (
    ("encoder.encoder_seanet.", "encoder."),
    ("encoder.encoder_transformer.", "encoder_transformer."),
    ("encoder.downsample.", "downsample."),
)
"""Names of transformers 5 -> those of transformers 4, which the authors' file has."""
FILE_SHA256 = (
    "1da36514b58ac7bc4bf78644ec85b942051897a4cf5bcef41bf7f719e1f4c024"  # of "name shape" of all tensors of the authors' class, a line each
)


@torch.no_grad()
def alive(seed: int) -> tuple[Any, Any]:
    """(transformers' Mimi, the authors' decoder) with random weights under which codes vary and no layer is idle."""
    transformers = pytest.importorskip("transformers")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        decoder, mimi = official_decoder(), transformers.MimiModel(transformers.MimiConfig()).eval()
        for model in (mimi, decoder):
            for name, value in model.named_parameters():
                if name.endswith(("layer_scale.scale", "gamma")):
                    value.uniform_(0.05, 0.3)
                elif name.endswith(("alpha", "beta")):
                    value.uniform_(-0.7, 0.7)
                elif name.endswith(("norm.weight", "layernorm.weight")):
                    value.uniform_(0.7, 1.3)
                elif name.endswith("bias"):
                    value.normal_(0, 0.02)
                elif value.ndim >= 2:
                    value.normal_(0, gain(name) / value[0].numel() ** 0.5)
        scattered(mimi, noise((4, 1, 24_000 * 2), seed + 100))
        for name, value in decoder.quantizer.named_parameters():
            if name.endswith("cluster_usage"):
                value.uniform_(0.5, 3.5)
            elif name.endswith("embedding_sum"):
                value.normal_(0, 1)
    return mimi, decoder


def gain(name: str) -> float:
    """Of a layer; 1 keeps the size of its input. Sines of ever larger values would make noise of the last digits, theirs and ours."""
    if ".conv2." in name:  # the last of a residual unit
        return 0.3
    return 0.2 if name == "decoder.6.conv.weight" else 1.0


def scattered(mimi: Any, wav: Tensor) -> None:
    """Codebooks around what reaches them: short, so that residuals shrink slowly, as trained ones do."""
    latents = latents_of(mimi, wav)
    for part in (mimi.quantizer.semantic_residual_vector_quantizer, mimi.quantizer.acoustic_residual_vector_quantizer):
        rest = part.input_proj(latents).transpose(1, 2).flatten(0, 1)
        for layer in part.layers:
            book = layer.codebook
            usage = 0.5 + 3 * torch.rand(2048)
            book.cluster_usage.copy_(usage)
            book.embed_sum.copy_((rest.mean(0) + 0.4 * rest.std(0) * torch.randn(2048, 256)) * usage[:, None])
            book._embed = None
            rest = rest - book.embed[torch.cdist(rest, book.embed).argmin(-1)]


def latents_of(mimi: Any, wav: Tensor) -> Tensor:
    """What Mimi quantizes [B, D, n], for whole frames of wav."""
    return mimi.encoder(wav).latents


def state_of(mimi: Any, decoder: Any) -> dict[str, Tensor]:
    """The authors' state dict: of Mimi they throw the decoder away."""
    state = {f"decoder.{name}": value for name, value in decoder.state_dict().items()}
    for name, value in mimi.state_dict().items():
        if not name.startswith("decoder."):
            begin, theirs = next((pair for pair in FILE if name.startswith(pair[0])), ("", ""))
            state[f"encoder.{theirs}{name.removeprefix(begin)}"] = value
    return state


def ours(state: dict[str, Tensor]) -> Qwen3TTS:
    """Our model with the authors' weights."""
    model = Qwen3TTS(CONFIGS["12hz"], VARIANTS["12hz"].spec)
    model.load_state_dict(renamed(state, model.config), strict=True)
    return model.eval()


@pytest.fixture(scope="module", params=SEEDS)
def trio(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any, Qwen3TTS]]:
    """(transformers' Mimi, the authors' decoder, ours)."""
    mimi, decoder = alive(request.param)
    yield mimi, decoder, ours(state_of(mimi, decoder))


@torch.no_grad()
def compare_codes(mimi: Any, mine: Qwen3TTS, wav: Tensor) -> Tensor:
    """Assert equal codes, but for ties; return ours."""
    whole = F.pad(wav, (0, -wav.shape[-1] % HOP))
    expected = mimi.encode(whole, num_quantizers=32).audio_codes[:, : len(mine.spec.codebooks)]
    codes, latents = mine.encode(wav), latents_of(mimi, whole)
    assert codes.shape == expected.shape == (len(wav), len(mine.spec.codebooks), whole.shape[-1] // HOP)
    for part in parts(mine, codes, expected, latents):
        ties(*part)
    return codes


def parts(mine: Qwen3TTS, codes: Tensor, expected: Tensor, latents: Tensor) -> Iterator[tuple[Tensor, Tensor, Iterator[Level]]]:
    """What `ties` asks of each part of the encoder's quantizer."""
    both, sizes = (mine.encoder.quantizer.rvq_first, mine.encoder.quantizer.rvq_rest), (1, codes.shape[1] - 1)
    for part, some, right in zip(both, codes.split(sizes, 1), expected.split(sizes, 1), strict=True):
        books = [codebook.vectors()[0] for codebook in part.codebooks()[: right.shape[1]]]
        yield some, right, residual_levels(part.input_proj(latents), books, right)


def drawn(clips: int, levels: int, frames: int) -> Tensor:
    """Codes [B, K, n]."""
    return torch.randint(2048, (clips, levels, frames), generator=torch.Generator().manual_seed(frames))


@pytest.mark.parametrize(("clips", "length"), [(3, 20_001), (1, 1), *slow((1, 333), (1, 1919), (1, 1920), (1, 1921), (1, 31_999))])
def test_codes_equal_the_authors(trio: tuple[Any, Any, Qwen3TTS], clips: int, length: int) -> None:
    mimi, _, mine = trio
    codes = compare_codes(mimi, mine, noise((clips, 1, length), length))
    if clips > 1:
        assert sum(len(level.unique()) for level in codes.unbind(1)) > 400
        assert min(len(level.unique()) for level in codes.unbind(1)) > 15


@pytest.mark.parametrize("levels", [1, 8, *slow(*(n for n in range(2, LEVELS) if n != 8))])
def test_fewer_codebooks_are_the_first(trio: tuple[Any, Any, Qwen3TTS], levels: int) -> None:
    _, decoder, mine = trio
    few = copy(mine)  # the same layers
    few.spec = replace(mine.spec, codebooks=mine.spec.codebooks[:levels])
    wav = noise((1, 1, 2 * HOP), levels)
    assert torch.equal(few.encode(wav), mine.encode(wav)[:, :levels])
    codes = drawn(1, levels, 1)
    decoder.config.num_quantizers = levels  # it refuses other numbers than its configuration's
    try:
        with torch.no_grad():
            expected = decoder.chunked_decode(codes)
    finally:
        decoder.config.num_quantizers = LEVELS
    torch.testing.assert_close(few.decode(codes), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("clips", "frames"), [(3, 3), *slow((1, 1), (1, 20))])
@torch.no_grad()
def test_audio_equals_the_authors(trio: tuple[Any, Any, Qwen3TTS], clips: int, frames: int) -> None:
    _, decoder, mine = trio
    codes = drawn(clips, LEVELS, frames)
    expected = decoder.chunked_decode(codes)
    assert expected.shape == (clips, 1, frames * HOP)
    torch.testing.assert_close(mine.decode(codes), expected, rtol=0, atol=1e-5)
    assert 0.03 < expected.std() < 0.5 and (expected.abs() == 1).double().mean() < 0.01
    assert len(expected.unique()) > 0.9 * expected.numel()


@torch.no_grad()
def test_decoding_begins_anew_where_the_authors_does(trio: tuple[Any, Any, Qwen3TTS]) -> None:
    _, decoder, mine = trio
    short = copy(mine)  # the same layers
    short.config = replace(mine.config, chunk=3, context=1)
    codes = drawn(1, LEVELS, 5)
    expected = decoder.chunked_decode(codes, chunk_size=3, left_context_size=1)
    torch.testing.assert_close(short.decode(codes), expected, rtol=0, atol=1e-5)
    assert (mine.decode(codes) - expected).abs().max() > 1e-3
    stated = inspect.signature(decoder.chunked_decode).parameters
    assert (stated["chunk_size"].default, stated["left_context_size"].default) == (mine.config.chunk, mine.config.context)


@pytest.mark.slow
@torch.no_grad()
def test_more_than_24_seconds_and_past_the_attention_context(trio: tuple[Any, Any, Qwen3TTS]) -> None:
    mimi, decoder, mine = trio
    codes = compare_codes(mimi, mine, noise((1, 1, 26 * 24_000), 2))
    assert codes.shape[-1] == 325
    torch.testing.assert_close(mine.decode(codes), decoder.chunked_decode(codes), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_clip_that_ends_within_a_frame_differs_there_alone(trio: tuple[Any, Any, Qwen3TTS]) -> None:
    mimi, _, mine = trio
    wav = noise((1, 1, 10 * HOP - 700), 4)
    expected = mimi.encode(wav, num_quantizers=32).audio_codes[:, :LEVELS]
    codes = mine.encode(wav)
    assert codes.shape == expected.shape
    assert torch.equal(codes[..., :-1], expected[..., :-1])


def test_loads_a_file_with_the_authors_names(trio: tuple[Any, Any, Qwen3TTS], tmp_path: Path) -> None:
    mimi, decoder, mine = trio
    path = tmp_path / "model.safetensors"
    state = {name: value.contiguous() for name, value in state_of(mimi, decoder).items()}
    assert sum(value.numel() for value in state.values()) == 170_557_441  # as the released file has
    lines = "\n".join(f"{name} {tuple(value.shape)}" for name, value in sorted(state.items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == FILE_SHA256
    save_file(state, path)
    loaded = load(VARIANTS["12hz"].spec, path)
    for name, value in mine.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
