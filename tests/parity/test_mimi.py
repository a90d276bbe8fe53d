"""Mimi against the two public implementations, at the official configuration with shared random weights.

Oracles: moshi 0.2.13 (the authors' code) and transformers 5.23.0 (MimiModel). A freshly initialised network maps everything to a few
codes, so the weights are given life first (`alive`), and every test asserts that many different codes occur. Codes must be equal but for
proven ties.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from bench.tokenizers.mimi import OFFICIAL, VARIANTS, Mimi, load, renamed
from tests.parity.noise import swelling as noise
from tests.parity.ties import Level, residual_levels, ties

loaders = pytest.importorskip("moshi.models.loaders", reason="the oracle is missing: pip install moshi")

HOP = 1920
SEEDS = (0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4)))


@torch.no_grad()
def alive(seed: int):
    """The authors' model with random weights under which codes vary."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = loaders.get_mimi(None, num_codebooks=32)
        for name, value in model.named_parameters():
            if name.endswith(".scale"):
                value.uniform_(0.05, 0.3)
            elif value.ndim == 3:
                value.mul_(1.5)
            elif name.endswith("bias"):
                value.normal_(0, 0.02)
        latents = model.encode_to_latent(noise((4, 1, 24_000 * 4), seed + 100), quantize=False)
        for part in (model.quantizer.rvq_first, model.quantizer.rvq_rest):
            rest = part.input_proj(latents).transpose(1, 2).flatten(0, 1)
            for layer in part.vq.layers:
                book = layer._codebook
                usage = 0.5 + 3 * torch.rand(2048)
                book.cluster_usage.copy_(usage)
                # around the mean of what arrives, and short: residuals must shrink slowly, as trained ones do, or the last levels
                # quantize nothing but rounding errors
                vectors = rest.mean(0) + 0.4 * rest.std(0) * torch.randn(2048, 256)
                book.embedding_sum.copy_(vectors * usage[:, None])
                book._embedding = None
                rest = rest - book.decode(book.encode(rest))
    return model


def ours(official, levels: int = 32) -> Mimi:
    model = Mimi(OFFICIAL, VARIANTS["24khz" if levels == 8 else f"24khz-{levels}cb"].spec)
    model.load_state_dict(renamed(official.state_dict(), heads=8), strict=True)
    return model.eval()


@pytest.fixture(scope="module", params=SEEDS)
def pair(request) -> Iterator[tuple]:
    """(the authors' model, ours), with 32 codebooks."""
    official = alive(request.param)
    yield official, ours(official)


@torch.no_grad()
def compare(official, mine: Mimi, wav: Tensor) -> Tensor:
    """Assert equal codes, but for ties, and audio; return our codes."""
    official.set_num_codebooks(len(mine.spec.codebooks))
    expected = official.encode(wav)
    codes = mine.encode(wav)
    assert codes.shape == expected.shape == (len(wav), len(mine.spec.codebooks), -(-wav.shape[-1] // HOP))
    padded = torch.nn.functional.pad(wav, (0, -wav.shape[-1] % HOP))
    assert_equal_but_for_ties(mine, codes, expected, official.encode_to_latent(padded, quantize=False))
    torch.testing.assert_close(mine.decode(expected), official.decode(expected), rtol=0, atol=1e-5)
    return codes


def parts(mine: Mimi, codes: Tensor, expected: Tensor, latents: Tensor) -> Iterator[tuple[Tensor, Tensor, Iterator[Level]]]:
    """What `ties` asks of each part of the quantizer: neither knows of the other, and a tie in the first excuses nothing in the second."""
    sizes = (1, codes.shape[1] - 1)
    both = mine.quantizer.rvq_first, mine.quantizer.rvq_rest
    for part, some, right in zip(both, codes.split(sizes, 1), expected.split(sizes, 1), strict=True):
        books = [codebook.vectors()[0] for codebook in part.codebooks()[: right.shape[1]]]
        yield some, right, residual_levels(part.input_proj(latents), books, right)


def assert_equal_but_for_ties(mine: Mimi, codes: Tensor, expected: Tensor, latents: Tensor) -> None:
    for part in parts(mine, codes, expected, latents):
        ties(*part)


def different(codes: Tensor) -> int:
    """How many (codebook, code) pairs occur in codes [B, K, F]."""
    return sum(len(level.unique()) for level in codes.unbind(1))


def test_codes_and_audio_equal_the_authors(pair) -> None:
    official, mine = pair
    codes = compare(official, mine, noise((2, 1, 24_000 * 3), 1))
    assert different(codes) > 1000
    assert min(len(level.unique()) for level in codes.unbind(1)) > 20


def test_past_the_attention_context(pair) -> None:
    official, mine = pair
    wav = noise((1, 1, 24_000 * 12), 2)  # 300 positions of which 250 are seen
    assert different(compare(official, mine, wav)) > 1000


@pytest.mark.parametrize("length", [1, 2, 333, 1919, 1920, 1921, 3840, 12_345, 31_999])
def test_any_length(pair, length: int) -> None:
    official, mine = pair
    compare(official, mine, noise((1, 1, length), length))


def test_eight_codebooks_are_the_first_of_thirty_two(pair) -> None:
    official, mine = pair
    eight = ours(official, levels=8)
    wav = noise((3, 1, 30_011), 3)
    codes = compare(official, eight, wav)
    assert torch.equal(codes, mine.encode(wav)[:, :8])
    assert different(codes) > 100


def test_right_padding_in_a_batch_changes_nothing(pair) -> None:
    _, mine = pair
    lengths = (20_001, 1920, 44_100)
    clips = [noise((1, 1, n), n) for n in lengths]
    batch = torch.cat([torch.nn.functional.pad(clip, (0, max(lengths) - clip.shape[-1])) for clip in clips])
    codes = mine.encode(batch)
    for clip, together in zip(clips, codes, strict=True):
        alone = mine.encode(clip)[0]
        assert torch.equal(together[:, : alone.shape[-1]], alone)  # transformers' port gives other codes here (its issue 43377)
    audio = mine.decode(codes)
    for clip, together in zip(clips, audio, strict=True):
        alone = mine.decode(mine.encode(clip))[0]
        torch.testing.assert_close(together[:, : alone.shape[-1]], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("names", ["file", "class"])
def test_loads_a_checkpoint_with_the_authors_names(tmp_path, pair, names: str) -> None:
    official, mine = pair
    state = dict(official.state_dict())
    if names == "file":  # the released file has the older names, which the class renames as it loads
        state = {k.replace("in_projs.0.weight", "in_proj_weight").replace("out_projs.0.", "out_proj."): v for k, v in state.items()}
        assert "encoder_transformer.transformer.layers.0.self_attn.in_proj_weight" in state
    path = tmp_path / "mimi.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    loaded = load(VARIANTS["24khz-32cb"].spec, path)
    for key, value in mine.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


@pytest.fixture(scope="module")
def port(pair) -> Iterator[tuple]:
    """(transformers' model, ours), with shared random weights drawn the other way round: theirs loaded into ours."""
    transformers = pytest.importorskip("transformers")
    _, mine = pair
    model = transformers.MimiModel(transformers.MimiConfig()).eval()
    model.load_state_dict(to_transformers(mine.state_dict(), model), strict=True)
    yield model, mine


def to_transformers(state: dict[str, Tensor], model) -> dict[str, Tensor]:
    """Our tensors under transformers' names: found by asking our own map which of theirs goes where."""
    result = {}
    for name, value in model.state_dict().items():
        if ".self_attn." in name and "o_proj" not in name:
            stem, part = name.split(".self_attn.")
            stem = renamed({f"{stem}.input_layernorm.bias": value}, 8).popitem()[0].removesuffix("norm1.bias")
            rows = state[f"{stem}attention.in_proj.weight"].chunk(3)["qkv".index(part[0])]
            result[name] = rows if part[0] == "v" else rows.unflatten(0, (8, 32, 2)).transpose(1, 2).flatten(0, 2)
        else:
            result[name] = state[next(iter(renamed({name: value}, 8)))]
    return result


@torch.no_grad()
def test_codes_and_audio_equal_transformers(port) -> None:
    model, mine = port
    wav = noise((2, 1, HOP * 25), 5)  # whole frames: elsewhere the port's last frame is wrong, it pads inside each layer
    codes, expected = mine.encode(wav), model.encode(wav, num_quantizers=32).audio_codes
    assert_equal_but_for_ties(mine, codes, expected, mine.latents(wav))
    torch.testing.assert_close(mine.decode(expected), model.decode(expected).audio_values, rtol=0, atol=1e-5)
    assert different(codes) > 1000


def test_loads_a_checkpoint_with_the_names_of_transformers(port) -> None:
    model, mine = port
    state = renamed(model.state_dict(), heads=8)
    assert state.keys() == mine.state_dict().keys()
    for key, value in mine.state_dict().items():
        assert torch.equal(state[key], value), key
